// The one box: grows, keeps a draft, sends once, waits its turn, and keeps the text when it cannot be sent.

import { canStop, isBusy, stopAll } from "./follow.js";
import { fieldsOf, uuid } from "./sending.js";
import { forgetWords, keepWords, keptWords } from "./unsent.js";

// Another reply, in whichever conversation, may end at any moment.
const ASK_AGAIN = 2000;

const onItsWayTo = (name) => name && `${name}:sent`;

export function startComposer(chat, thread, post, documents) {
  const form = chat.querySelector("[data-composer]");
  const box = form.elements.content;
  const limit = Number(box.dataset.limit);
  const [send, stop, count, hint] = ["send", "stop", "count", "hint"].map((name) => form.querySelector(`[data-${name}]`));
  let attempt = { text: null, id: null };
  let onItsWay = "";
  let isSending = false;
  let sendsNext = false;
  let askingAgain = null;

  // What is on its way is kept with what is written meanwhile: whoever reloads then has all of it.
  const keepDraft = () => keepWords(box.dataset.draft, [onItsWay, box.value].filter(Boolean).join("\n\n"));

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
    const name = box.dataset.draft;
    keepWords(onItsWayTo(name), JSON.stringify(attempt));
    // Words that wait in the box stay there, and their hint, until they are sent.
    if (!wasWaiting) {
      onItsWay = text;
      box.value = "";
    }
    refresh();
    let isCrowded = false;
    const wasSent = await post(form.action, fields, {
      pendingText: wasWaiting ? undefined : text,
      whenCrowded: () => (isCrowded = true),
    });
    isSending = false;
    onItsWay = "";
    forgetWords(onItsWayTo(name));
    if (wasSent) {
      attempt = { text: null, id: null };
      if (box.value === text) box.value = "";
      forgetWords(name);
    } else if (!wasWaiting) {
      box.value = box.value ? `${text}\n\n${box.value}` : text;
    }
    wait(isCrowded && box.value === text && (!wasWaiting || sendsNext), chosen);
    if (box.value) keepDraft();
    refresh();
  }

  /** The page went before the answer to what was sent came: it is the same message still, and here no more if it arrived. */
  function takeUp() {
    const begun = JSON.parse(keptWords(onItsWayTo(box.dataset.draft)) || "null");
    if (!begun || !box.value.startsWith(begun.text)) return;
    if (chat.querySelector(`[data-client="${CSS.escape(begun.id)}"]`)) {
      box.value = box.value.slice(begun.text.length).trimStart();
      keepDraft();
    } else if (box.value === begun.text) attempt = begun;
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
    keepDraft();
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

  box.value ||= keptWords(box.dataset.draft);
  takeUp();
  refresh();
  return { box };
}
