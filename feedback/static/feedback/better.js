// A better answer is written where the reply stands. Whoever leaves the editor finds in it what they wrote, also after
// the page was reloaded; without this module the form under the reply takes better answers as well.

import { uuid } from "../chat/sending.js";
import { forgetWords, keepWords, keptWords } from "../chat/unsent.js";
import { toast } from "../config/js/toast.js";
import { showDifference } from "./difference.js";
import { post, replace } from "./widget.js";

const editors = new WeakMap();

/** What was begun in a field and not sent has a name, except in a temporary conversation. */
function nameOf(turn, field) {
  const conversation = document.querySelector("[data-draft]")?.dataset.draft;
  return conversation && `${conversation}:better-${field}-${turn.dataset.turn}`;
}

const kept = (turn, field) => keptWords(nameOf(turn, field));
const keep = (turn, field, words) => keepWords(nameOf(turn, field), words);

const buttonOf = (turn) => turn.querySelector("[data-show-better]");
const isOpen = (turn) => Boolean(turn.querySelector("[data-better-editor]"));

/** Says on the button that there is something to go on with. */
function label(turn) {
  const button = buttonOf(turn);
  if (!button) return;
  button.hidden = isOpen(turn);
  button.dataset.label ??= button.textContent;
  const isBegun = editors.get(turn)?.isChanged() || kept(turn, "text") || kept(turn, "source");
  button.textContent = isBegun ? button.dataset.begun : button.dataset.label;
}

/** The editor of a turn: begun from the better answer given before, or from the reply. */
function made(turn) {
  const form = document.querySelector("template[data-better-form]").content.firstElementChild.cloneNode(true);
  const { right_text: box, source } = form.elements;
  const reply = turn.querySelector("template[data-source]").content.textContent;
  const given = turn.querySelector("template[data-better]");
  const begun = { text: given?.content.textContent ?? reply, source: given?.dataset.cited ?? "" };
  const isChanged = () => box.value !== begun.text || source.value !== begun.source;

  function refresh() {
    keep(turn, "text", box.value === begun.text ? "" : box.value);
    keep(turn, "source", source.value === begun.source ? "" : source.value);
    form.querySelector("[data-over]").hidden = !isChanged();
    showDifference(form.querySelector("[data-difference]"), reply, box.value);
    if (CSS.supports("field-sizing", "content")) return;
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight}px`;
  }

  function fill(from) {
    [box.value, source.value] = [from.text, from.source];
    refresh();
  }

  const start = () => fill({ text: kept(turn, "text") || begun.text, source: kept(turn, "source") || begun.source });

  form.action = turn.querySelector("[data-correction]").action;
  form.elements.client_event_id.value = uuid();
  form.addEventListener("input", refresh);
  form.querySelector("[data-over]").addEventListener("click", () => {
    fill(begun);
    box.focus();
  });
  form.querySelector("[data-cancel]").addEventListener("click", () => leave(turn));
  form.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") {
      event.stopPropagation(); // on the page it stops replies
      leave(turn);
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save(turn);
  });
  return { form, box, isChanged, refresh, start };
}

function open(turn) {
  for (const other of document.querySelectorAll("[data-better-editor]")) leave(other.closest("[data-turn]"));
  const isNew = !editors.has(turn);
  if (isNew) editors.set(turn, made(turn));
  const editor = editors.get(turn);
  const blocks = turn.querySelector("[data-blocks]");
  blocks.hidden = true;
  blocks.after(editor.form);
  if (isNew) editor.start();
  else editor.refresh();
  label(turn);
  editor.box.focus();
  editor.box.setSelectionRange(0, 0);
  editor.form.scrollIntoView({ block: "nearest" });
}

function close(turn) {
  editors.get(turn).form.remove();
  turn.querySelector("[data-blocks]").hidden = false;
  label(turn);
  const button = buttonOf(turn);
  button?.focus();
  button?.scrollIntoView({ block: "nearest" });
}

function leave(turn) {
  const { form, isChanged } = editors.get(turn);
  close(turn);
  if (isChanged()) toast(form.dataset.kept);
}

async function save(turn) {
  const { form, box } = editors.get(turn);
  const answer = await post(form);
  if (!answer) return;
  const refusal = form.querySelector("[data-refusal]");
  refusal.replaceChildren(...(answer.isTaken ? [] : answer.fresh.querySelector("[data-refused]").childNodes));
  if (!answer.isTaken) {
    box.focus();
    return;
  }
  for (const field of ["text", "source"]) forgetWords(nameOf(turn, field));
  replace(turn.querySelector("[data-rating]"), answer.fresh, form);
  close(turn);
  editors.delete(turn);
  label(turn);
  toast(form.dataset.saved, { kind: "success" });
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-show-better]");
  if (button) open(button.closest("[data-turn]"));
});
document.addEventListener("parley:rated", ({ target }) => label(target.closest("[data-turn]")));
for (const button of document.querySelectorAll("[data-show-better]")) label(button.closest("[data-turn]"));
