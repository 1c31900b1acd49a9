// The page of all conversations: results while typing, choosing all, changes in place.

import { look } from "../config/js/look.js";
import { startRenaming } from "./rename.js";
import { startSidebar } from "./sidebar.js";

const PAUSE = 200;
const results = document.querySelector("[data-results]");
const search = document.querySelector("#search");
let timer = null;
let newest = 0;

async function show(url) {
  const mine = ++newest;
  const { text: html } = await look(url);
  if (html === null || mine !== newest) return;
  const held = results.contains(document.activeElement) ? document.activeElement : null;
  results.innerHTML = html;
  // Whoever works by keyboard goes on from the same control, or from here when it is gone.
  if (held) ([...results.querySelectorAll("button")].find((one) => held.value && one.value === held.value) ?? results).focus();
  history.replaceState({}, "", url);
}

function ask() {
  clearTimeout(timer);
  timer = setTimeout(() => show(`${search.form.action}?q=${encodeURIComponent(search.value)}`), PAUSE);
}

search.addEventListener("input", ask);
// The box has the focus at once: quick hands have typed before this script was here.
if (search.value !== search.defaultValue) ask();
results.addEventListener("change", (event) => {
  if (!event.target.matches("[data-check-all]")) return;
  for (const box of results.querySelectorAll("[name=conversation]")) box.checked = event.target.checked;
});
startRenaming(
  startSidebar(() => show(location.href)),
  () => show(location.href),
);
