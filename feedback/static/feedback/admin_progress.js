// The admin's list of releases: while one is being made, only the cells that tell of it are put in place, so that rows stay
// chosen and the focus stays where it is.

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
