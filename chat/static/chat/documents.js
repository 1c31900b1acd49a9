// Documents of the conversation: chosen, dropped or pasted, sent one by one with their progress, read, removed.

import { look, parsed } from "../config/js/look.js";
import { csrfToken } from "../config/js/request.js";

const FIRST_LOOK = 300;
const LAST_LOOK = 4000;

export function startDocuments(chat) {
  const tray = chat.querySelector("[data-tray]");
  const list = tray.querySelector("[data-attached]");
  const form = tray.querySelector("[data-attach-form]");
  const input = form.elements.file;
  const open = chat.querySelector("[data-attach]");
  const ids = chat.querySelector("[data-document-ids]");
  const region = chat.querySelector("[data-announce]");
  let waiting = Promise.resolve();

  const say = (text) => {
    region.textContent = text;
  };
  const tell = () => {
    if (ids) ids.value = [...list.querySelectorAll("[data-document]")].map((row) => row.dataset.document).join();
    chat.dispatchEvent(new CustomEvent("parley:documents"));
  };
  const rowFrom = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content.firstElementChild;
  };

  function refused(row, name, reason) {
    const told = tray.querySelector("template[data-refused-row]").content.firstElementChild.cloneNode(true);
    told.querySelector("[data-name]").textContent = name;
    told.querySelector("[data-reason]").textContent = reason;
    row.replaceWith(told);
    say(`${name}: ${reason}`);
  }

  async function send(file) {
    const row = tray.querySelector("template[data-uploading-row]").content.firstElementChild.cloneNode(true);
    row.querySelector("[data-name]").textContent = file.name;
    list.append(row);
    tell();
    // One after the other: each has the whole line, and the server counts them in order.
    const turn = waiting;
    let done;
    waiting = new Promise((resolve) => {
      done = resolve;
    });
    await turn;
    const progress = row.querySelector("progress");
    const answer = await upload(form, file, (percent) => {
      progress.value = percent;
      progress.setAttribute("aria-label", tray.dataset.uploading.replace("{name}", file.name).replace("{percent}", percent));
    });
    done();
    if (answer.html) follow(replace(row, answer));
    else refused(row, file.name, answer.message || document.body.dataset.requestFailed);
    tell();
  }

  function replace(row, answer) {
    const next = rowFrom(answer.html);
    const hadFocus = row.contains(document.activeElement);
    row.replaceWith(next);
    if (hadFocus) open.focus();
    return next;
  }

  /** Looks until the document is read, ever more rarely. */
  async function follow(row, pause = FIRST_LOOK) {
    if (row.dataset.state !== "waiting") return;
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (!row.isConnected) return;
    const { status, text } = await look(row.dataset.stateUrl);
    if (status === 404) {
      row.remove();
      tell();
      return;
    }
    const answer = parsed(text);
    if (!answer || answer.state === "waiting") {
      follow(row, Math.min(LAST_LOOK, pause * 1.5));
      return;
    }
    replace(row, answer);
    say(answer.said);
    tell();
  }

  async function remove(event) {
    event.preventDefault();
    const row = event.target.closest("[data-document]");
    const name = row.querySelector(".attached__name").textContent;
    const response = await fetch(event.target.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(event.target)),
      headers: { "X-Requested-With": "fetch" },
    }).catch(() => null);
    if (!response?.ok && response?.status !== 404) {
      say(document.body.dataset.requestFailed);
      return;
    }
    row.remove();
    say(tray.dataset.removed.replace("{name}", name));
    open.focus();
    tell();
  }

  const sendAll = (files) => {
    for (const file of files) send(file);
  };
  open.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    sendAll([...input.files]);
    input.value = "";
  });
  list.addEventListener("submit", remove);
  list.addEventListener("click", (event) => {
    if (!event.target.closest("[data-dismiss]")) return;
    event.target.closest("li").remove();
    open.focus();
  });
  startDropping(chat, tray, sendAll);
  chat.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    sendAll([...event.clipboardData.files]);
  });
  chat.addEventListener("parley:opened", (event) => {
    form.elements.conversation.value = event.detail.conversation;
    ids?.remove();
  });
  for (const row of list.querySelectorAll('[data-state="waiting"]')) follow(row);

  return { isReading: () => Boolean(list.querySelector('[data-state="uploading"], [data-state="waiting"]')) };
}

function startDropping(chat, tray, sendAll) {
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  const show = (is) => tray.classList.toggle("tray--dropping", is);
  chat.addEventListener("dragenter", (event) => {
    if (hasFiles(event)) show(++depth > 0);
  });
  chat.addEventListener("dragleave", (event) => {
    if (hasFiles(event)) show(--depth > 0);
  });
  chat.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  chat.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    sendAll([...event.dataTransfer.files]);
  });
}

/** The server's answer to one file, or `{message}`; `fetch` cannot tell of progress. */
function upload(form, file, onProgress) {
  return new Promise((resolve) => {
    const fields = new FormData();
    fields.append("conversation", form.elements.conversation.value);
    fields.append("file", file);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("X-CSRFToken", csrfToken());
    request.setRequestHeader("X-Requested-With", "fetch");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => onProgress(Math.round((100 * event.loaded) / event.total)));
    request.addEventListener("load", () => resolve(request.response ?? {}));
    request.addEventListener("error", () => resolve({ message: document.body.dataset.offline }));
    request.send(fields);
  });
}
