// The one box: grows, keeps a draft, sends once, waits its turn, and keeps the text when it cannot be sent.

import { canStop, isBusy, stopAll } from "./follow.js";
import { fieldsOf, uuid } from "./sending.js";

// Another reply, in whichever conversation, may end at any moment.
const ASK_AGAIN = 2000;

export function startComposer(chat, thread, post, documents) {
  const form = chat.querySelector("[data-composer]");
  const box = form.elements.content;
  const limit = Number(box.dataset.limit);
  const [send, stop, count, hint] = ["send", "stop", "count", "hint"].map((name) => form.querySelector(`[data-${name}]`));
  const drafts = draftsOf(box);
  let attempt = { text: null, id: null };
  let isSending = false;
  let sendsNext = false;
  let askingAgain = null;

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
    hint.textContent = hint.dataset[documents.isReading() ? "reading" : askingAgain ? "crowded" : "busy"];
    if (hadFocus) box.focus();
    if (CSS.supports("field-sizing", "content")) return;
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight}px`;
  }

  /** `chosen` are the name and value of the button that was pressed, where it has any. */
  async function submit(chosen = {}) {
    if (!canSend()) return;
    if (isBusy(chat) || documents.isReading()) {
      wait(false);
      sendsNext = true;
      refresh();
      return;
    }
    const text = box.value;
    // The same words sent again are the same message, however often a hand or a network repeats them.
    if (attempt.text !== text) attempt = { text, id: uuid() };
    const fields = { ...fieldsOf(form), ...chosen, content: text, client_id: attempt.id, parent: thread.last() };
    isSending = true;
    const wasWaiting = Boolean(askingAgain);
    sendsNext &&= wasWaiting;
    const key = drafts.key();
    // Words that wait in the box stay there, and their hint, until they are sent.
    if (!wasWaiting) box.value = "";
    refresh();
    let isCrowded = false;
    const wasSent = await post(form.action, fields, {
      pendingText: wasWaiting ? undefined : text,
      whenCrowded: () => (isCrowded = true),
    });
    isSending = false;
    if (wasSent) {
      attempt = { text: null, id: null };
      if (box.value === text) box.value = "";
      drafts.forget(key);
    } else if (!wasWaiting) {
      box.value = box.value ? `${text}\n\n${box.value}` : text;
    }
    wait(isCrowded && box.value === text && (!wasWaiting || sendsNext), chosen);
    if (box.value) drafts.keep();
    refresh();
  }

  /** Asks again after a while, unless the words are changed. */
  function wait(isCrowded, chosen) {
    clearTimeout(askingAgain);
    sendsNext = isCrowded;
    askingAgain = isCrowded ? setTimeout(() => submit(chosen), ASK_AGAIN) : null;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { name, value } = event.submitter ?? {};
    submit(name ? { [name]: value } : {});
    if (matchMedia("(hover: hover)").matches) box.focus();
  });
  box.addEventListener("input", () => {
    wait(false);
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
