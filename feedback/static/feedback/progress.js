// While something is being made, fetch the page again every two seconds and put its new state in place of the old.

const EVERY_MS = 2000;
const LONGEST_MS = 10_000;

async function refresh() {
  try {
    const answer = await fetch(location.href, {
      headers: { Accept: "text/html" },
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-progress]");
      const shown = document.querySelector("[data-progress]");
      if (fresh && shown && fresh.innerHTML !== shown.innerHTML) replace(shown, fresh);
      if (!page.querySelector("progress, .release__progress")) return;
    }
  } catch {
    // The network is away, or fell silent as when a laptop sleeps; the next try may find it back.
  }
  setTimeout(refresh, EVERY_MS);
}

// The button that had the focus keeps it, so that a person on the keyboard is not thrown to the top.
function replace(shown, fresh) {
  const action = document.activeElement?.closest?.("form")?.action;
  shown.replaceWith(document.adoptNode(fresh));
  if (action) [...document.forms].find((form) => form.action === action)?.querySelector("button")?.focus();
}

setTimeout(refresh, EVERY_MS);
