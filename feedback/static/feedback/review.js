// Decide by keyboard: A, R or S decide at once, W writes, E rewrites the reply, C takes the correction over; Escape leaves
// the text, and Control and Enter in it approve with what was written. What changes shows beneath while one writes.

import { request } from "../config/js/request.js";
import { toast } from "../config/js/toast.js";
import { showDifference } from "./difference.js";

const form = document.querySelector("[data-review]");
const box = form?.querySelector("[name=ideal_text]");
const source = form?.querySelector("[name=ideal_from]");
const reply = document.querySelector("[data-rated-reply]")?.content.textContent ?? "";
// A place in the queue is kept for ten minutes; who writes for longer keeps it by writing.
const KEEP_EVERY_MS = 60_000;

function press(key) {
  document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.click();
}

// What was taken from another reply, or from a correction, is used no longer than that: the server is told which.
function fill(text, from) {
  box.value = text;
  source.value = from ?? "";
  box.focus();
  box.dispatchEvent(new Event("input"));
}

function fillFrom(template) {
  fill(template.content.textContent, template.dataset.source);
}

function showChanges() {
  if (!box.value.trim()) source.value = "";
  showDifference(form.querySelector("[data-difference]"), reply, box.value);
}

document.addEventListener("keydown", (event) => {
  // A key held down is pressed once: it must not decide the next rating, which nobody has read.
  if (!form || event.altKey || event.repeat) return;
  if (event.target === box) {
    if (event.key === "Escape") box.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) press("a");
    return;
  }
  if (event.ctrlKey || event.metaKey || event.target.closest("input:not([type=radio]), textarea, select")) return;
  const key = event.key.toLowerCase();
  if (!document.querySelector(`[data-key="${CSS.escape(key)}"]`)) return;
  event.preventDefault();
  press(key);
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-write]")) box.focus();
  if (event.target.closest("[data-rewrite]")) fill(box.value || reply, box.value && source.value);
  const correction = event.target.closest("[data-use-correction]")?.closest(".correction");
  if (correction) fillFrom(correction.querySelector("[data-corrected]"));
  const sibling = event.target.closest("[data-use-text]")?.closest(".review__sibling");
  if (sibling) fillFrom(sibling.querySelector("[data-text]"));
});

let keptAt = Date.now();

async function keep() {
  if (Date.now() - keptAt < KEEP_EVERY_MS) return;
  keptAt = Date.now();
  try {
    await request(form.dataset.keep, { method: "POST" });
  } catch (error) {
    if (error.status !== 409) return; // the network is away, and the next try may find it back
    keptAt = Infinity;
    toast(form.dataset.lost, { kind: "error" });
  }
}

box?.addEventListener("input", showChanges);
form?.addEventListener("input", keep);
