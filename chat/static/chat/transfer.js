// Brings conversations from elsewhere in, part by part, and shows how far it is. Without this module the form brings in the first part.

import { request } from "../config/js/request.js";
import { toast } from "../config/js/toast.js";

const form = document.querySelector("[data-import]");
const shown = form.querySelector("[data-import-progress]");
const [text, bar] = [shown.querySelector("span"), shown.querySelector("progress")];
const button = form.querySelector("[type=submit]");

/** Resolves with where to go when all of it is in. What came in stays, whatever happens: each comes in once. */
async function bringIn() {
  const sent = new FormData(form);
  for (;;) {
    const response = await request(form.action, { form: sent, headers: { "X-Requested-With": "fetch" } });
    const answer = await response.json();
    if (answer.url) return answer.url;
    text.textContent = answer.text;
    Object.assign(bar, { max: answer.all, value: answer.done });
    for (const [name, count] of Object.entries(answer.again)) sent.set(name, count);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.disabled) return;
  button.disabled = true;
  shown.hidden = false;
  try {
    location.assign(await bringIn());
  } catch (failure) {
    toast(failure.message, { kind: "error" });
    shown.hidden = true;
  }
  button.disabled = false;
});
