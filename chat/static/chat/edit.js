// Editing an earlier message: another branch from there. Without this module the link opens the same form as a page.

import { fieldsOf, uuid } from "./sending.js";

export function startEditing(chat, post) {
  chat.addEventListener("click", (event) => {
    const link = event.target.closest("[data-edit]");
    if (!link) return;
    event.preventDefault();
    start(link.closest("[data-turn]"));
  });
  for (const editor of chat.querySelectorAll("[data-editor]")) wire(editor, () => {});

  function start(turn) {
    const bubble = turn.querySelector("[data-source]");
    const actions = turn.querySelector(".turn__actions");
    const editor = chat.querySelector("template[data-edit-form]").content.firstElementChild.cloneNode(true);
    const composer = chat.querySelector("[data-composer]");
    editor.action = composer.action;
    editor.elements.content.value = bubble.textContent;
    editor.elements.parent.value = turn.dataset.parent;
    wire(editor, () => {
      editor.replaceWith(bubble);
      actions.hidden = false;
      turn.querySelector("[data-edit]").focus();
    });
    actions.hidden = true;
    bubble.replaceWith(editor);
    editor.elements.content.focus();
  }

  function wire(editor, close) {
    const id = uuid();
    const submit = editor.querySelector("[type=submit]");
    editor.querySelector("[data-edit-cancel]").addEventListener("click", (event) => {
      if (!event.currentTarget.href) close();
    });
    editor.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        close();
      } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
        event.preventDefault();
        editor.requestSubmit();
      }
    });
    editor.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (submit.disabled || !editor.elements.content.value.trim()) return;
      submit.disabled = true;
      const fields = { ...fieldsOf(editor), client_id: id };
      if (await post(editor.action, fields)) chat.querySelector("#message").focus();
      submit.disabled = false;
    });
  }
}
