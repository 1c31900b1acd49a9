// Decide by keyboard: A, R or S decide at once, W writes, E rewrites the reply, C takes the correction over; Escape leaves
// the text, and Control and Enter in it approve with what was written. What changes shows beneath while one writes.

import { showDifference } from "./difference.js";
import { byKeyboard, keepPlace } from "./reviewer.js";

const form = document.querySelector("[data-review]");

function start() {
  const { ideal_text: box, ideal_from: source } = form.elements;
  const reply = document.querySelector("[data-rated-reply]").content.textContent;

  // What was taken from another reply, or from a correction, is used no longer than that: the server is told which.
  function fill(text, from) {
    box.value = text;
    source.value = from ?? "";
    box.focus();
    box.dispatchEvent(new Event("input"));
  }

  const fillFrom = (template) => fill(template.content.textContent, template.dataset.source);

  document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-rewrite]")) fill(box.value || reply, box.value && source.value);
    const correction = target.closest("[data-use-correction]")?.closest(".correction");
    if (correction) fillFrom(correction.querySelector("[data-corrected]"));
    const sibling = target.closest("[data-use-text]")?.closest(".review__sibling");
    if (sibling) fillFrom(sibling.querySelector("[data-text]"));
  });
  box.addEventListener("input", () => {
    if (!box.value.trim()) source.value = "";
    showDifference(form.querySelector("[data-difference]"), reply, box.value);
  });
  // Of a grade, other than of a field, Enter presses the first button that can be pressed.
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) event.preventDefault();
  });
  byKeyboard(box, "a");
  keepPlace(form);
}

if (form) start();
