// Keyboard shortcuts of the chat page; those that the list of conversations has everywhere are in `sidebar.js`.

import { openDialog } from "../config/js/dialog.js";
import { stopAll } from "./follow.js";

export function startKeys(chat, composer) {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    const isCovered = document.querySelector("dialog[open], :popover-open");
    if (isCovered || event.ctrlKey || event.metaKey || event.altKey) {
      // Dialogs and menus have their own keys, and the browser has its shortcuts.
    } else if (event.key === "Escape") {
      stopAll(chat);
    } else if (!isTyping && event.key === "/") {
      event.preventDefault();
      composer.box.focus();
    } else if (!isTyping && event.key === "?") {
      openDialog("keys");
    }
  });
}
