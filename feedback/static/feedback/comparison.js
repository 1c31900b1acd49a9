// Two replies side by side: may be judged once both are finished, and how long each was in view is sent along.

const seen = new WeakMap();

// In view is a quarter of a reply or, of one that is longer than the screen, as much as fills half of that.
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const view = seen.get(entry.target);
      count(view);
      const shown = entry.intersectionRect.height;
      view.isInView = entry.intersectionRatio >= 0.25 || (shown > 0 && shown >= innerHeight / 2);
      view.since = view.isInView && !document.hidden ? performance.now() : null;
    }
  },
  { threshold: Array.from({ length: 101 }, (_, step) => step / 100) },
);

function count(view) {
  if (view.since !== null) view.total += performance.now() - view.since;
  view.since = null;
}

document.addEventListener("visibilitychange", () => {
  for (const side of document.querySelectorAll("[data-side]")) {
    const view = seen.get(side);
    if (!view) continue;
    count(view);
    if (!document.hidden && view.isInView) view.since = performance.now();
  }
});

function start(chat) {
  const refresh = () => {
    for (const comparison of chat.querySelectorAll("[data-comparison]")) {
      const isWriting = Boolean(comparison.querySelector("[data-unfinished], [data-stopping]"));
      for (const button of comparison.querySelectorAll("button[name=choice]")) {
        if (button.value !== "skipped") button.disabled = isWriting;
      }
      for (const side of comparison.querySelectorAll("[data-side]")) {
        if (seen.has(side)) continue;
        seen.set(side, { total: 0, since: null, isInView: false });
        watcher.observe(side);
      }
    }
  };
  chat.addEventListener("parley:replies", refresh);
  refresh();
}

document.addEventListener("submit", (event) => {
  const comparison = event.target.closest("[data-comparison]");
  if (!comparison || !event.target.elements.left_ms) return;
  for (const side of comparison.querySelectorAll("[data-side]")) {
    const view = seen.get(side);
    if (!view) continue;
    count(view);
    event.target.elements[`${side.dataset.side}_ms`].value = Math.round(view.total);
  }
});

const chat = document.querySelector("[data-chat]");
if (chat) start(chat);
