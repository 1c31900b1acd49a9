// How long each reply is in view, and whether its end was. The server is told when somebody goes on or leaves, and keeps it
// with the person's consent alone.

import { uuid } from "../chat/sending.js";
import { request } from "../config/js/request.js";

const REPLIES = "[data-side], .turn--reply[data-turn]";
// Less is on its way past.
const GLANCE = 100;
const MOST_AT_ONCE = 100;

const chat = document.querySelector("[data-chat]");
// By reply, and by comparison where it stands in one: the page may put another element in its place.
const views = new Map();
// By what is observed: replies, and the marks at their ends that only finished ones have.
const viewOf = new WeakMap();
const untold = [];

// In view is a quarter of a reply or, of one that is longer than the screen, as much as fills half of that.
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, intersectionRatio: ratio, intersectionRect: rect } of entries) {
      const view = viewOf.get(target);
      if (view.element !== target) continue;
      count(view);
      view.isInView = ratio >= 0.25 || (rect.height > 0 && rect.height >= innerHeight / 2);
      count(view);
    }
  },
  { threshold: Array.from({ length: 101 }, (_, step) => step / 100) },
);

const ends = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    ends.unobserve(target);
    viewOf.get(target).isWhole = true;
  }
});

/** Adds what passed since the last time, if it was in view. */
function count(view) {
  if (view.since !== null) view.ms += performance.now() - view.since;
  view.since = view.isInView && view.element.isConnected && !document.hidden ? performance.now() : null;
}

const keyOf = ({ dataset }) => `${dataset.compared ?? ""} ${dataset.reply ?? dataset.turn}`;

/** Of a reply on the page, `ms` that it was in view and whether it was shown whole (`isWhole`) up to now. */
export function viewed(element) {
  const view = views.get(keyOf(element));
  count(view);
  return view;
}

/** Observes what is new on the page; returns whether a reply began to be written. */
function watch() {
  let hasBegun = false;
  for (const element of chat.querySelectorAll(REPLIES)) {
    const key = keyOf(element);
    if (!views.has(key)) {
      hasBegun ||= "unfinished" in element.dataset;
      const { reply, turn, compared: comparison } = element.dataset;
      views.set(key, { reply: reply ?? turn, comparison, ms: 0, told: 0, since: null, isInView: false, isWhole: false });
    }
    const view = views.get(key);
    if (view.element !== element) {
      if (view.element) watcher.unobserve(view.element);
      view.element = element;
      viewOf.set(element, view);
      watcher.observe(element);
    }
    const end = element.querySelector("[data-end]");
    if (!end || viewOf.has(end)) continue;
    viewOf.set(end, view);
    ends.observe(end);
  }
  return hasBegun;
}

function tell() {
  for (const view of views.values()) {
    count(view);
    const ms = Math.round(view.ms - view.told);
    if (ms < GLANCE) continue;
    view.told += ms;
    const { reply, comparison, isWhole } = view;
    untold.push({ client_event_id: uuid(), reply, comparison, visible_ms: ms, is_whole: isWhole });
  }
  while (untold.length) send(untold.splice(0, MOST_AT_ONCE));
}

function send(exposures) {
  // Nobody waits for it. Where it did not arrive it goes along the next time; sent twice it is once.
  request("/api/feedback/exposures", { json: { exposures }, keepalive: true }).catch(({ status }) => {
    if (!status || status === 429) untold.unshift(...exposures);
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) tell();
  else for (const view of views.values()) count(view);
});
window.addEventListener("pagehide", tell);
// Whoever has another reply written, however they ask for it, has seen those before.
chat.addEventListener("parley:replies", () => watch() && tell());
watch();
