// The page of a consistency check: follows the answers while they are written, then brings what came of comparing them.

import { look } from "../config/js/look.js";
import { dressCode } from "./code.js";
import { followAll } from "./follow.js";

const PACE = 1000;

const check = document.querySelector("[data-check]");
const body = check.querySelector("[data-body]");
const announced = check.querySelector("[data-announce]");

const stateOf = (element) => element.querySelector("[data-state]")?.dataset.state;
const isWaiting = () => ["proposing", "asked"].includes(stateOf(body));
const count = (selector) => body.querySelectorAll(selector).length;

function progress() {
  const text = body.querySelector("[data-progress-text]");
  const left = count("[data-unfinished]");
  if (!text || !left) return;
  const all = count("[data-turn]");
  const said = check.dataset.progress.replace("{done}", all - left).replace("{count}", all);
  if (text.textContent === said) return;
  text.textContent = said;
  announced.textContent = said;
}

/** The page as the server has it now, if it has gone on; a form that somebody writes in is never replaced. */
async function refresh() {
  const { text } = await look(check.dataset.url);
  if (text === null) return;
  const holder = document.createElement("template");
  holder.innerHTML = text;
  if (stateOf(holder.content) === stateOf(body)) return;
  const hadFocus = body.contains(document.activeElement);
  body.replaceChildren(holder.content);
  if (hadFocus) body.querySelector("#verdict, textarea")?.focus();
  dressCode(body, check);
  announced.textContent = body.querySelector("#verdict")?.textContent ?? check.dataset.ready;
}

async function watch() {
  while (isWaiting()) {
    await new Promise((resolve) => setTimeout(resolve, PACE));
    if (!count("[data-unfinished]")) await refresh();
  }
}

check.addEventListener("parley:replies", progress);
dressCode(body, check);
followAll(check);
watch();
