// The admin's list of releases, and the page of one: while it is being made, only what tells of it is put in place, so that
// rows stay chosen and the focus stays where it is.

import { keepFresh } from "./refresh.js";

const CELLS = [".field-state", ".field-progress", ".field-rows_done", ".field-finished_at"];

const nameOf = (row) => row.querySelector(".action-select")?.value;
const rowsOf = (page) => [...page.querySelectorAll("#result_list tbody tr")];

keepFresh("#result_list progress", (page) => {
  const fresh = new Map(rowsOf(page).map((row) => [nameOf(row), row]));
  for (const row of rowsOf(document)) {
    for (const cell of CELLS) {
      const [old, now] = [row, fresh.get(nameOf(row))].map((one) => one?.querySelector(cell));
      if (old && now && old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes);
    }
  }
});

const FIELDS = [...CELLS, ".field-funnel"];

keepFresh("#release_form progress", (page) => {
  for (const field of FIELDS) {
    const [old, now] = [document, page].map((one) => one.querySelector(`#release_form ${field}`));
    if (old && now && old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes);
  }
});
