// The chat page: wires the composer, the thread and the replies that are being written.

import { startComposer } from "./composer.js";
import { dressCode } from "./code.js";
import { followAll } from "./follow.js";
import { startKeys } from "./keys.js";
import { startThread } from "./thread.js";

const chat = document.querySelector("[data-chat]");
const thread = startThread(chat);
const composer = startComposer(chat, thread);
followAll(chat, thread, composer);
dressCode(chat, chat);
startKeys(chat, composer);

document.addEventListener("click", async (event) => {
  const more = event.target.closest("[data-more]");
  if (!more) return;
  event.preventDefault();
  const response = await fetch(more.href, { headers: { "X-Requested-With": "fetch" } });
  if (response.ok) more.outerHTML = await response.text();
});
