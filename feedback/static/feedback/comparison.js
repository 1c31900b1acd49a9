// Two replies side by side: may be judged once both are finished, and how long each was in view is sent along.

import { viewed } from "./exposure.js";

function start(chat) {
  const refresh = () => {
    for (const comparison of chat.querySelectorAll("[data-comparison]")) {
      const isWriting = Boolean(comparison.querySelector("[data-unfinished], [data-stopping]"));
      for (const button of comparison.querySelectorAll("button[name=choice]")) {
        if (button.value !== "skipped") button.disabled = isWriting;
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
    const { ms, isWhole } = viewed(side);
    event.target.elements[`${side.dataset.side}_ms`].value = Math.round(ms);
    event.target.elements[`${side.dataset.side}_whole`].value = isWhole;
  }
});

const chat = document.querySelector("[data-chat]");
if (chat) start(chat);
