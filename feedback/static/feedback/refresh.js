// While something on a page is being made, fetches the page again every two seconds.

import { look } from "../config/js/look.js";

const EVERY_MS = 2000;
const LONGEST_MS = 10_000;

/** As long as something on the page matches `busy`, gives `show` the page as it is now, in a document of its own. */
export async function keepFresh(busy, show) {
  let isBusy = Boolean(document.querySelector(busy));
  while (isBusy) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    const { text, address } = await look(location.href, { headers: { Accept: "text/html" }, longest: LONGEST_MS });
    // Whoever was signed out meanwhile is led to where one signs in.
    if (address !== location.href) location.assign(address);
    if (text === null) continue;
    const page = new DOMParser().parseFromString(text, "text/html");
    // Asked first: what is shown is taken out of that document.
    isBusy = Boolean(page.querySelector(busy));
    show(page);
  }
}
