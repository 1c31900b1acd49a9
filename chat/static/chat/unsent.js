// Words that were not sent yet, per person and conversation, in this browser only; signing out forgets them.

/**
 * A browser may be told to keep nothing, or be full: then words live as long as the page, and nothing else stops. A
 * temporary conversation has no name: it leaves nothing behind, not even in this browser.
 */
function stored(use) {
  try {
    return use(localStorage);
  } catch {
    return null;
  }
}

export const keptWords = (name) => (name && stored((kept) => kept.getItem(`draft:${name}`))) || "";

export const forgetWords = (name) => stored((kept) => kept.removeItem(`draft:${name}`));

export function keepWords(name, words) {
  if (!words) forgetWords(name);
  else if (name) stored((kept) => kept.setItem(`draft:${name}`, words));
}
