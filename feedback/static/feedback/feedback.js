// Rates without leaving the page: the forms work as they are, this sends them and puts the answer in their place. Words that
// were begun, a comment or a correction, are kept in this browser until they are sent.

import { forgetWords, keepWords, keptWords } from "../chat/unsent.js";
import { post, replace } from "./widget.js";

const WRITTEN = "[data-rating] :is(textarea, input[name=source], input[name=occurrence])";

/** Nothing is kept of a temporary conversation: it gives no name. */
function nameOf(field) {
  const conversation = document.querySelector("[data-draft]")?.dataset.draft;
  return conversation && `${conversation}:${field.id}`;
}

for (const field of document.querySelectorAll(WRITTEN)) {
  const words = keptWords(nameOf(field));
  if (!words || field.value) continue;
  field.value = words;
  Object.assign(field.closest("details"), { hidden: false, open: true });
}

document.addEventListener("input", ({ target }) => {
  if (target.matches(WRITTEN)) keepWords(nameOf(target), target.value);
});

document.addEventListener("submit", async (event) => {
  const widget = event.target.closest("[data-rating]");
  if (!widget) return;
  event.preventDefault();
  const form = event.target;
  const pressed = event.submitter?.name === "value" ? event.submitter.value : null;
  const answer = await post(form, event.submitter, widget);
  if (!answer) return;
  const { isTaken, fresh } = answer;
  if (isTaken) for (const field of form.querySelectorAll(WRITTEN)) forgetWords(nameOf(field));
  const closes = pressed === null && isTaken && !form.hasAttribute("data-stays");
  if (closes) fresh.querySelector("details")?.removeAttribute("open");
  replace(widget, fresh, form);
  fresh.dispatchEvent(new CustomEvent("parley:rated", { bubbles: true }));
  if (fresh.querySelector("[data-asks-first]")) document.dispatchEvent(new CustomEvent("parley:asks-first"));
  const next = ["[data-refused], [data-said]", nextAfter(form, closes), "[aria-pressed=true]", "button"];
  next.map((place) => fresh.querySelector(place)).find(Boolean).focus();
});

/** Where the keyboard goes on when there is nothing to read: what is asked next, or where the form was opened. */
function nextAfter(form, closes) {
  if (form.hasAttribute("data-stays")) return "[data-stays] button";
  if (form.closest("[data-correct]")) return "[data-correct]:not([hidden]) > summary";
  return closes ? "details > summary" : "details[open] input[type=checkbox]";
}
