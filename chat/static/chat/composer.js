// The one box: grows, keeps a draft, sends once, keeps the text when it cannot be sent. Also edits and rewrites.

import { attach, stopAll } from "./follow.js";

const uuid = () =>
  crypto.randomUUID?.() ??
  "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
    (digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)))).toString(16),
  );

export function startComposer(chat, thread) {
  const form = chat.querySelector("[data-composer]");
  const box = form.elements.content;
  const notice = chat.querySelector("[data-notice]");
  const draftKey = () => `draft:${box.dataset.draft}`;
  let isSending = false;

  const composer = {
    box,
    refresh() {
      const over = box.value.length - Number(box.dataset.limit);
      const count = form.querySelector("[data-count]");
      count.hidden = over <= 0;
      if (over > 0) count.textContent = `${chat.dataset.tooLong} ${over.toLocaleString()}`;
      form.querySelector("[data-send]").disabled = isSending || !box.value.trim() || over > 0;
      const isWriting = Boolean(chat.querySelector("[data-unfinished]"));
      form.querySelector("[data-stop]").hidden = !isWriting || Boolean(box.value.trim());
      form.querySelector("[data-send]").hidden = isWriting && !box.value.trim();
      if (!CSS.supports("field-sizing", "content")) {
        box.style.height = "auto";
        box.style.height = `${box.scrollHeight}px`;
      }
    },
  };

  /** Post a form; on success put the new turns in place and follow the reply. Returns whether it was sent. */
  async function post(url, fields, pendingText) {
    const takeBack = pendingText === undefined ? () => {} : thread.pending(pendingText);
    notice.replaceChildren();
    isSending = true;
    composer.refresh();
    try {
      const response = await patientFetch(url, fields, chat, notice);
      const answer = await response.json();
      takeBack();
      if (!response.ok) {
        notice.innerHTML = answer.html ?? "";
        return false;
      }
      show(answer);
      return true;
    } catch {
      takeBack();
      notice.textContent = document.body.dataset.requestFailed;
      return false;
    } finally {
      isSending = false;
      composer.refresh();
    }
  }

  function show(answer) {
    for (const turn of thread.replaceBelow(answer.after, answer.html)) {
      if (turn.dataset.events) attach(turn, chat, thread, composer);
    }
    chat.querySelector("[data-allowance]").innerHTML = answer.allowance_html;
    form.elements.parent.value = answer.last;
    if (location.pathname === answer.url) return;
    history.pushState({}, "", answer.url);
    form.action = answer.send_url;
    document.querySelector("[data-title]").textContent = answer.title;
    document.title = answer.title;
    box.dataset.draft = answer.conversation;
    listConversation(answer);
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = box.value;
    if (isSending || !text.trim() || text.length > Number(box.dataset.limit)) return;
    const key = draftKey();
    box.value = "";
    const wasSent = await post(form.action, { ...fieldsOf(form), content: text }, text);
    if (wasSent) {
      localStorage.removeItem(key);
      form.elements.client_id.value = uuid();
    } else if (!box.value) {
      box.value = text;
    }
    composer.refresh();
    box.focus();
  });

  box.addEventListener("input", () => {
    localStorage.setItem(draftKey(), box.value);
    composer.refresh();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.querySelector("[data-stop]").addEventListener("click", () => stopAll(chat));

  chat.addEventListener("submit", (event) => {
    const again = event.target.closest("[data-regenerate]");
    if (!again) return;
    event.preventDefault();
    post(again.action, fieldsOf(again));
  });
  chat.addEventListener("click", (event) => {
    const edit = event.target.closest("[data-edit]");
    if (edit) startEdit(edit.closest("[data-turn]"));
  });

  function startEdit(turn) {
    const bubble = turn.querySelector("[data-source]");
    const editor = chat.querySelector("template[data-edit-form]").content.firstElementChild.cloneNode(true);
    const editBox = editor.elements.content;
    editBox.value = bubble.textContent;
    const close = () => {
      editor.replaceWith(bubble);
      turn.querySelector("[data-edit]").focus();
    };
    editor.querySelector("[data-edit-cancel]").addEventListener("click", close);
    editor.addEventListener("keydown", (event) => event.key === "Escape" && close());
    editor.addEventListener("submit", async (event) => {
      event.preventDefault();
      const fields = { ...fieldsOf(form), client_id: uuid(), parent: turn.dataset.parent, content: editBox.value };
      if (!(await post(form.action, fields))) editBox.focus();
    });
    bubble.replaceWith(editor);
    editBox.focus();
  }

  box.value ||= localStorage.getItem(draftKey()) ?? "";
  window.addEventListener("popstate", () => location.reload());
  composer.refresh();
  return composer;
}

const fieldsOf = (form) => Object.fromEntries(new FormData(form));

/** Offline, waits until the network is back and says so: the client id makes sending again harmless. */
async function patientFetch(url, fields, chat, notice) {
  for (;;) {
    try {
      return await fetch(url, {
        method: "POST",
        body: new URLSearchParams(fields),
        headers: { "X-Requested-With": "fetch" },
      });
    } catch (failure) {
      if (navigator.onLine) throw failure;
      notice.textContent = chat.dataset.offlineSend;
      await new Promise((resolve) => window.addEventListener("online", resolve, { once: true }));
      notice.replaceChildren();
    }
  }
}

function listConversation({ url, title }) {
  const list = document.querySelector("[data-conversations]");
  list.querySelector(".sidebar__empty")?.remove();
  let items = list.querySelector(".sidebar__items");
  if (!items) {
    items = document.createElement("ul");
    items.className = "sidebar__items";
    list.prepend(items);
  }
  const link = document.createElement("a");
  Object.assign(link, { className: "sidebar__item", href: url, textContent: title });
  link.setAttribute("aria-current", "page");
  const item = document.createElement("li");
  item.append(link);
  items.prepend(item);
}
