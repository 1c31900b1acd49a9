// What the pages of reviewers share: they are worked by keyboard, and a place is kept while one writes.

import { request } from "../config/js/request.js";
import { toast } from "../config/js/toast.js";

// A place in the queue is kept for ten minutes; who writes for longer keeps it by writing.
const KEEP_EVERY_MS = 60_000;
const TAKES_LETTERS = "input:not([type=radio], [type=checkbox]), textarea, select";

function press(key) {
  document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.click();
}

/** Keys press the buttons that show them. In the box Escape leaves it, and Control and Enter press `enter`. */
export function byKeyboard(box, enter) {
  document.addEventListener("keydown", (event) => {
    // A key held down is pressed once: it must not decide the next one, which nobody has read.
    if (event.altKey || event.repeat) return;
    if (event.target === box) {
      if (event.key === "Escape") box.blur();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) press(enter);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.target.closest(TAKES_LETTERS)) return;
    const key = event.key.toLowerCase();
    if (!document.querySelector(`[data-key="${CSS.escape(key)}"]`)) return;
    event.preventDefault();
    press(key);
  });
  document.addEventListener("click", ({ target }) => target.closest("[data-write]") && box.focus());
}

/** Whoever writes in the form keeps their place; says so where it is lost. */
export function keepPlace(form) {
  let keptAt = Date.now();
  form.addEventListener("input", async () => {
    if (Date.now() - keptAt < KEEP_EVERY_MS) return;
    keptAt = Date.now();
    try {
      await request(form.dataset.keep, { method: "POST" });
    } catch (error) {
      if (error.status !== 409) return; // the network is away, and the next try may find it back
      keptAt = Infinity;
      toast(form.dataset.lost, { kind: "error" });
    }
  });
}
