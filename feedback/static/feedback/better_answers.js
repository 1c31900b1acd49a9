// Write a better answer by keyboard: 1 and 2 begin from a reply, W writes, Control and Enter (or K) keep, S skips, and
// Escape leaves the text. What was changed shows beneath while one writes.

import { showDifference } from "./difference.js";
import { byKeyboard, keepPlace } from "./reviewer.js";

const form = document.querySelector("[data-better]");

function start() {
  const { text: box, made_from: source } = form.elements;
  let begun = "";

  // As if it were typed: Control and Z brings back what stood there.
  function beginFrom(template) {
    begun = template.content.textContent;
    box.focus();
    box.select();
    document.execCommand("insertText", false, begun);
    source.value = template.dataset.source;
  }

  document.addEventListener("click", ({ target }) => {
    const side = target.closest("[data-begin]")?.closest("[data-side]");
    if (side) beginFrom(side.querySelector("[data-text]"));
  });
  box.addEventListener("input", () => {
    if (!box.value.trim()) [begun, source.value] = ["", ""];
    showDifference(form.querySelector("[data-difference]"), begun || box.value, box.value);
  });
  byKeyboard(box, "k");
  keepPlace(form);
}

if (form) start();
