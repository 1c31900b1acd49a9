// A reply while it is written: its event stream into its blocks. Reconnects by itself and never misses anything.

import { look } from "../config/js/look.js";
import { request } from "../config/js/request.js";
import { toast } from "../config/js/toast.js";
import { announcer } from "./announce.js";
import { AnswerSource } from "./answer.js";
import { dressCode } from "./code.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
// The server says every ten seconds that it is there, even when it has no news.
const SILENCE = 25_000;
// Without any news for so long, nobody has begun to write.
const QUIET = 2000;
const FETCH = { "X-Requested-With": "fetch", Accept: "text/html" };

// By turn: its source, when that was last heard of, and how to open another.
const open = new Map();

/** Whether a reply on the page is being written, or has been asked to stop and not yet done so. */
export const isBusy = (chat) => Boolean(chat.querySelector("[data-unfinished], [data-stopping]"));
export const canStop = (chat) => Boolean(chat.querySelector("[data-unfinished]"));

/** Tells the page that a reply began, ended or was stopped. */
const changed = (chat) => {
  const context = [...chat.querySelectorAll("[data-turn]")].at(-1)?.querySelector("template[data-context-source]");
  if (context) chat.querySelector("[data-context]").replaceChildren(context.content.cloneNode(true));
  chat.dispatchEvent(new CustomEvent("parley:replies"));
};

/** Follow every unfinished reply on the page; `answers` holds, by reply, events that have begun to come already. */
export function followAll(chat, answers = {}) {
  for (const [turn, { source }] of open) {
    if (turn.isConnected) continue;
    source.close();
    open.delete(turn);
  }
  for (const turn of chat.querySelectorAll("[data-unfinished]")) {
    // Two replies side by side are one turn, and each says which it is.
    if (!open.has(turn)) follow(turn, chat, answers[turn.dataset.reply ?? turn.dataset.turn]);
  }
  changed(chat);
}

/**
 * Opens again what has been silent for longer than `patience`: of a connection that ended while a laptop slept, or with
 * the network it went through, the browser may be told nothing for many minutes.
 */
function renewSilent(patience) {
  for (const [turn, { heardAt, renew }] of open) {
    if (turn.isConnected && Date.now() - heardAt > patience) renew();
  }
}

setInterval(renewSilent, 5000, SILENCE);
document.addEventListener("visibilitychange", () => document.hidden || renewSilent(SILENCE));
window.addEventListener("online", () => renewSilent(-1));

function follow(turn, chat, answer) {
  const blocks = turn.querySelector("[data-blocks]");
  const announce = announcer(chat, blocks);
  let position = "";
  let wait = FIRST_WAIT;
  setTimeout(() => {
    const text = turn.querySelector("[data-state-text]");
    if (turn.isConnected && text && !position) text.textContent = chat.dataset.waiting;
  }, QUIET);

  const connect = (source) => {
    const connection = { source, heardAt: Date.now(), renew };
    open.set(turn, connection);
    const on = (name, act) =>
      source.addEventListener(name, (event) => {
        position = event.lastEventId || position;
        connection.heardAt = Date.now();
        wait = FIRST_WAIT;
        act(JSON.parse(event.data));
      });
    on("ping", () => {});
    on("block", ({ index, html }) => {
      if ("stopping" in turn.dataset) return;
      turn.querySelector("[data-state-text]").textContent = "";
      fill(blocks, index, html, chat);
      announce.more();
    });
    on("state", ({ state, queue_position: place }) => showState(turn, chat, state, place));
    on("end", async ({ state, finish_reason: reason }) => {
      source.close();
      connection.heardAt = Infinity;
      announce.end(state, reason);
      while (!(await settle(turn, chat))) await pause();
    });
    // The browser reconnects by itself after a lost network; an answer that is not a stream ends its patience, not ours.
    source.addEventListener("error", async () => {
      if (source.readyState !== EventSource.CLOSED) return;
      await pause();
      if (turn.isConnected && open.get(turn) === connection && !(await settle(turn, chat))) reconnect();
    });
  };
  const reconnect = () => connect(new EventSource(`${turn.dataset.events}?after=${position}`));
  const renew = () => {
    open.get(turn).source.close();
    reconnect();
  };
  const pause = () => {
    const now = wait;
    wait = Math.min(wait * 2, LONGEST_WAIT);
    return new Promise((resolve) => setTimeout(resolve, now));
  };
  if (answer) connect(new AnswerSource(answer));
  else reconnect();
}

function fill(blocks, index, html, chat) {
  while (blocks.children.length <= index) {
    if (blocks.lastElementChild) dressCode(blocks.lastElementChild, chat);
    const block = document.createElement("div");
    block.className = "block";
    blocks.append(block);
  }
  blocks.children[index].innerHTML = html;
}

/** Why nothing is written now: others are served first, the model is away, or it thinks whether to ask. */
function showState(turn, chat, why, place) {
  const text = turn.querySelector("[data-state-text]");
  if (!text) return;
  if (why === "away") text.textContent = chat.dataset.away;
  else if (why === "deciding") text.textContent = chat.dataset.deciding;
  else text.textContent = place ? chat.dataset.place.replace("{place}", place) : "";
}

/**
 * Give a finished turn the form the server shows it in; false when it is not finished or the network is away. The text
 * that stands already stays in place, so that a selection and the reader's position survive.
 */
async function settle(turn, chat) {
  if (!turn.isConnected) return true;
  const { status, text } = await look(turn.dataset.fragment, { headers: FETCH });
  if (text === null) return status === 404;
  const holder = document.createElement("template");
  holder.innerHTML = text;
  const fresh = holder.content.firstElementChild;
  if ("unfinished" in fresh.dataset) return false;
  const held = turn.contains(document.activeElement) ? document.activeElement : null;
  const [shown, final] = [turn, fresh].map((element) => element.querySelector("[data-blocks]"));
  if (shown.innerText === final.innerText || shown.textContent === final.textContent) {
    for (const part of [...turn.children]) if (part !== shown) part.remove();
    const parts = [...fresh.children];
    const at = parts.indexOf(final);
    shown.before(...parts.slice(0, at));
    shown.after(...parts.slice(at + 1));
    for (const name of ["unfinished", "stopping", "events", "fragment"]) delete turn.dataset[name];
    Object.assign(turn.dataset, fresh.dataset);
  } else {
    turn.replaceWith(fresh);
  }
  open.delete(turn);
  if (held && !held.isConnected) {
    const same = turn.isConnected ? turn : fresh;
    const page = held.dataset.page && same.querySelector(`[data-page="${held.dataset.page}"]`);
    (page || chat.querySelector("[data-scroll]"))?.focus({ preventScroll: true });
  }
  dressCode(shown.isConnected ? shown : final, chat);
  changed(chat);
  return true;
}

/** Stops what is being written. It shows at once; the server keeps what had been written. */
export function stopAll(chat) {
  for (const turn of chat.querySelectorAll("[data-unfinished]")) stop(turn, chat);
}

async function stop(turn, chat) {
  delete turn.dataset.unfinished;
  turn.dataset.stopping = "";
  turn.querySelector("[data-state-text]").textContent = "";
  changed(chat);
  try {
    await request(turn.querySelector("[data-stop-form]").action, { method: "POST", headers: FETCH });
  } catch (failure) {
    if (!("stopping" in turn.dataset)) return;
    delete turn.dataset.stopping;
    turn.dataset.unfinished = "";
    toast(failure.message, { kind: "error" });
    changed(chat);
  }
}
