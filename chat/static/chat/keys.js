// Keyboard shortcuts of the chat page.

import { openDialog } from "../config/js/dialog.js";
import { stopAll } from "./follow.js";

export function startKeys(chat, composer) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.key.toLowerCase() === "o") {
      event.preventDefault();
      document.querySelector("[data-new-chat]").click();
    } else if (event.key === "Escape" && !document.querySelector("dialog[open], :popover-open")) {
      stopAll(chat);
    } else if (!isTyping && event.key === "/") {
      event.preventDefault();
      composer.box.focus();
    } else if (!isTyping && event.key === "?") {
      openDialog("keys");
    }
  });
}
