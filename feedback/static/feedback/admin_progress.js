// The admin's list of releases: while one is being made, what it says of itself is read again every two seconds. Only those
// cells are put in place, so that rows stay chosen and the focus stays where it is.

const EVERY_MS = 2000;
const LONGEST_MS = 10_000;
const CELLS = [".field-state", ".field-progress", ".field-rows_done", ".field-finished_at"];

const nameOf = (row) => row.querySelector(".action-select")?.value;

async function refresh() {
  try {
    const answer = await fetch(location.href, {
      headers: { Accept: "text/html" },
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = new Map([...page.querySelectorAll("#result_list tbody tr")].map((row) => [nameOf(row), row]));
      for (const row of document.querySelectorAll("#result_list tbody tr")) {
        for (const cell of CELLS) {
          const [old, now] = [row, fresh.get(nameOf(row))].map((one) => one?.querySelector(cell));
          if (old && now && old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes);
        }
      }
      if (!page.querySelector("#result_list progress")) return;
    }
  } catch {
    // The network is away, or fell silent as when a laptop sleeps; the next try may find it back.
  }
  setTimeout(refresh, EVERY_MS);
}

if (document.querySelector("#result_list progress")) setTimeout(refresh, EVERY_MS);
