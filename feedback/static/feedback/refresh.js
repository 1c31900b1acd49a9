// While something on a page is being made, fetches the page again every two seconds.

const EVERY_MS = 2000;
const LONGEST_MS = 10_000;

/** As long as something on the page matches `busy`, gives `show` the page as it is now, in a document of its own. */
export async function keepFresh(busy, show) {
  let isBusy = Boolean(document.querySelector(busy));
  while (isBusy) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    const page = await fetchAgain();
    if (!page) continue;
    // Asked first: what is shown is taken out of that document.
    isBusy = Boolean(page.querySelector(busy));
    show(page);
  }
}

/** Null where no page came: the network is away, or fell silent as when a laptop sleeps; the next try may find it back. */
async function fetchAgain() {
  try {
    const answer = await fetch(location.href, {
      headers: { Accept: "text/html" },
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    // Whoever was signed out meanwhile is led to where one signs in.
    if (answer.redirected) location.assign(answer.url);
    if (!answer.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return null;
  }
}
