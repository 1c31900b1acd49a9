// The one box: grows, keeps a draft, sends once, waits its turn, and keeps the text when it cannot be sent.

import { canStop, isBusy, stopAll } from "./follow.js";
import { fieldsOf, uuid } from "./sending.js";

export function startComposer(chat, thread, post, documents) {
  const form = chat.querySelector("[data-composer]");
  const box = form.elements.content;
  const limit = Number(box.dataset.limit);
  const [send, stop, count, hint] = ["send", "stop", "count", "hint"].map((name) => form.querySelector(`[data-${name}]`));
  const drafts = draftsOf(box);
  let attempt = { text: null, id: null };
  let isSending = false;
  let sendsNext = false;

  const canSend = () => !isSending && Boolean(box.value.trim()) && box.value.length <= limit;

  function refresh() {
    const over = box.value.length - limit;
    count.hidden = over <= 0;
    if (over > 0) {
      count.textContent = chat.dataset.tooLong
        .replace("{over}", over.toLocaleString(document.documentElement.lang))
        .replace("{limit}", limit.toLocaleString(document.documentElement.lang));
    }
    box.setAttribute("aria-invalid", String(over > 0));
    const offersStop = canStop(chat);
    const moves = offersStop ? send : stop;
    const hadFocus = document.activeElement === moves;
    stop.hidden = !offersStop;
    send.hidden = offersStop;
    send.disabled = !canSend();
    hint.hidden = !sendsNext;
    hint.textContent = documents.isReading() ? hint.dataset.reading : hint.dataset.busy;
    if (hadFocus) box.focus();
    if (CSS.supports("field-sizing", "content")) return;
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight}px`;
  }

  async function submit(button) {
    if (!canSend()) return;
    if (isBusy(chat) || documents.isReading()) {
      sendsNext = true;
      refresh();
      return;
    }
    const text = box.value;
    // The same words sent again are the same message, however often a hand or a network repeats them.
    if (attempt.text !== text) attempt = { text, id: uuid() };
    const fields = { ...fieldsOf(form, button), content: text, client_id: attempt.id, parent: thread.last() };
    isSending = true;
    sendsNext = false;
    const key = drafts.key();
    box.value = "";
    refresh();
    const wasSent = await post(form.action, fields, { pendingText: text });
    isSending = false;
    if (wasSent) {
      attempt = { text: null, id: null };
      drafts.forget(key);
    } else if (!box.value) {
      box.value = text;
    }
    if (box.value) drafts.keep();
    refresh();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(event.submitter);
    if (matchMedia("(hover: hover)").matches) box.focus();
  });
  box.addEventListener("input", () => {
    sendsNext = false;
    drafts.keep();
    refresh();
  });
  box.addEventListener("keydown", (event) => {
    // 229: an input method is composing, in browsers that end the composition before they tell of the key.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });
  stop.addEventListener("click", () => stopAll(chat));
  chat.addEventListener("parley:replies", () => {
    refresh();
    if (sendsNext && !isBusy(chat)) submit();
  });
  chat.addEventListener("parley:documents", () => {
    if (sendsNext && !documents.isReading()) submit();
    else refresh();
  });
  window.addEventListener("popstate", () => location.reload());

  box.value ||= drafts.read();
  refresh();
  return { box };
}

/** Unsent words, per person and conversation, in this browser only. */
function draftsOf(box) {
  const key = () => `draft:${box.dataset.draft}`;
  return {
    key,
    // A temporary conversation has no key: it leaves nothing behind, not even in this browser.
    read: () => (box.dataset.draft && localStorage.getItem(key())) || "",
    forget: (name) => localStorage.removeItem(name),
    keep() {
      if (!box.dataset.draft) return;
      if (box.value) localStorage.setItem(key(), box.value);
      else localStorage.removeItem(key());
    },
  };
}
