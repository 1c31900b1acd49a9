// Posts what a person asks for, once, patiently, and puts the answer in its place or says why there is none.

import { eventsOf } from "./answer.js";
import { followAll } from "./follow.js";
import { showTitle } from "./titles.js";

/**
 * Resolves with whether it was sent. `pendingText` is shown below the thread until the server answers. `whenCrowded` is
 * called, instead of showing the wall, when as many replies as the plan writes at a time are being written.
 */
export function startSending(chat, thread, sidebar, tabs) {
  const notice = chat.querySelector("[data-notice]");
  const form = chat.querySelector("[data-composer]");

  return async function post(url, fields, { pendingText, whenCrowded } = {}) {
    notice.replaceChildren();
    const takeBack = pendingText === undefined ? () => {} : thread.pending(pendingText);
    try {
      const response = await patientFetch(url, fields, (text) => say(text, "warning"));
      notice.replaceChildren();
      const { answer, events } = await read(response);
      takeBack();
      if (response.ok && answer) {
        show(answer, events);
        return true;
      }
      if (answer?.code === "concurrency" && whenCrowded) whenCrowded();
      else if (answer?.html) notice.innerHTML = answer.html;
      else say(response.redirected || [403, 404].includes(response.status) ? chat.dataset.stale : document.body.dataset.requestFailed);
    } catch {
      takeBack();
      say(document.body.dataset.offline);
    }
    return false;
  };

  function say(text, kind = "danger") {
    const banner = chat.querySelector(`template[data-banner="${kind}"]`).content.firstElementChild.cloneNode(true);
    banner.querySelector(".banner__body").textContent = text;
    notice.replaceChildren(banner);
  }

  function show(answer, events) {
    // What comes before it is not on the page: the end of the conversation is, with the reply as it is written.
    if (answer.after && !thread.turn(answer.after)) {
      location.assign(answer.url);
      return;
    }
    thread.replaceBelow(answer.after, answer.html, answer.after_html);
    followAll(chat, { [answer.reply]: events });
    chat.querySelector("[data-allowance]").innerHTML = answer.allowance_html;
    if (location.pathname !== answer.url) open(answer);
    sidebar.refresh(answer.conversation);
    tabs.tell(answer.conversation);
  }

  /** The first message has made a conversation: the page becomes its page. */
  function open(answer) {
    history.pushState({}, "", answer.url);
    chat.dataset.conversation = answer.conversation;
    form.action = answer.send_url;
    form.elements.content.dataset.draft = answer.draft_key;
    showTitle(chat, answer.title);
    for (const tool of document.querySelectorAll("[data-conversation-tools]")) tool.hidden = false;
    document.querySelector("[data-temporary]")?.remove();
    document.querySelector("#rename [data-rename]").action = answer.rename_url;
    document.querySelector("[data-delete]").action = answer.delete_url;
    document.querySelector("[data-share]").href = answer.share_url;
    document.querySelector("[data-export]").href = answer.manage_url;
    chat.dispatchEvent(new CustomEvent("parley:opened", { detail: answer }));
  }
}

/** What the server says, and the events of the reply that follow it in the same response. */
async function read(response) {
  if (response.redirected) return {};
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    return { answer: await response.json().catch(() => null) };
  }
  const events = eventsOf(response);
  const { value: sent } = await events.next();
  return { answer: sent && JSON.parse(sent.data), events };
}

/** Offline, waits until the network is back and says so: the client id makes sending again harmless. */
async function patientFetch(url, fields, say) {
  for (;;) {
    try {
      return await fetch(url, {
        method: "POST",
        body: new URLSearchParams(fields),
        headers: { "X-Requested-With": "fetch", Accept: "text/event-stream, application/json;q=0.5" },
      });
    } catch (failure) {
      if (navigator.onLine) throw failure;
      say(document.querySelector("[data-chat]").dataset.offlineSend);
      await new Promise((resolve) => window.addEventListener("online", resolve, { once: true }));
    }
  }
}

export const fieldsOf = (form, submitter) => Object.fromEntries(new FormData(form, submitter));

/** A client id: whatever is sent twice with it is done once. Also where `randomUUID` is missing (plain HTTP). */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}
