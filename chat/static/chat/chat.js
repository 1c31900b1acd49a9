// The chat page: wires the box, the thread, the replies that are being written and the list of conversations.

import { startCertainty } from "./certainty.js";
import { startClarifying } from "./clarify.js";
import { dressCode } from "./code.js";
import { startComposer } from "./composer.js";
import { startDocuments } from "./documents.js";
import { startEditing } from "./edit.js";
import { followAll } from "./follow.js";
import { startKeys } from "./keys.js";
import { startPrompts } from "./prompts.js";
import { startRenaming } from "./rename.js";
import { startSending } from "./sending.js";
import { startSettings } from "./settings.js";
import { startSidebar } from "./sidebar.js";
import { shareWithTabs } from "./tabs.js";
import { startThread } from "./thread.js";
import { showTitle, startTitles } from "./titles.js";
import { startVariants } from "./variants.js";

const chat = document.querySelector("[data-chat]");
const thread = startThread(chat);
const tabs = shareWithTabs(chat, thread);
const sidebar = startSidebar((ids, action) => {
  const isGone = action === "delete" && ids.includes(chat.dataset.conversation);
  if (isGone) location.assign(chat.dataset.startUrl);
  return isGone;
});
const post = startSending(chat, thread, sidebar, tabs);

const documents = startDocuments(chat);
const composer = startComposer(chat, thread, post, documents);
const stopLooking = startTitles(chat, sidebar);
startRenaming(sidebar, ({ conversation, title }) => {
  stopLooking(conversation);
  if (conversation === chat.dataset.conversation) showTitle(chat, title);
});
startPrompts(chat, composer.box);
startSettings(chat);
startEditing(chat, post);
startVariants(chat, thread, post);
startClarifying(chat, post);
startCertainty(chat);
startKeys(chat, composer);
dressCode(chat, chat);
followAll(chat);
