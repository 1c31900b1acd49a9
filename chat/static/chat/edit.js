// Editing an earlier message: another branch from there. Without this module the link opens the same form as a page.

import { fieldsOf, uuid } from "./sending.js";
import { forgetWords, keepWords, keptWords } from "./unsent.js";

export function startEditing(chat, post) {
  chat.addEventListener("click", (event) => {
    const link = event.target.closest("[data-edit]");
    if (!link) return;
    event.preventDefault();
    start(link.closest("[data-turn]"));
  });
  for (const editor of chat.querySelectorAll("[data-editor]")) wire(editor, "", () => {});

  function start(turn) {
    const bubble = turn.querySelector("[data-source]");
    const actions = turn.querySelector(".turn__actions");
    const editor = chat.querySelector("template[data-edit-form]").content.firstElementChild.cloneNode(true);
    const composer = chat.querySelector("[data-composer]");
    editor.action = composer.action;
    const conversation = composer.elements.content.dataset.draft;
    const draft = conversation && `${conversation}:${turn.dataset.turn}`;
    editor.elements.content.value = keptWords(draft) || bubble.textContent;
    editor.elements.parent.value = turn.dataset.parent;
    wire(editor, draft, () => {
      forgetWords(draft);
      editor.replaceWith(bubble);
      actions.hidden = false;
      turn.querySelector("[data-edit]").focus();
    });
    actions.hidden = true;
    bubble.replaceWith(editor);
    editor.elements.content.focus();
  }

  /** Unsent words are kept under the name `draft`; `close` takes the editor away. */
  function wire(editor, draft, close) {
    let attempt = { text: null, id: null };
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
    editor.addEventListener("input", () => keepWords(draft, editor.elements.content.value));
    editor.addEventListener("submit", async (event) => {
      event.preventDefault();
      const text = editor.elements.content.value;
      if (submit.disabled || !text.trim()) return;
      submit.disabled = true;
      // Other words are another message, even where the answer to the first ones was lost.
      if (attempt.text !== text) attempt = { text, id: uuid() };
      if (await post(editor.action, { ...fieldsOf(editor), client_id: attempt.id })) {
        forgetWords(draft);
        chat.querySelector("#message").focus();
      }
      submit.disabled = false;
    });
  }
}
