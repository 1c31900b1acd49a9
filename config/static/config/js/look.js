// Looks at what the server has now, for what shows when it comes and may be asked for again.

const LONGEST_MS = 60_000;

/** What a JSON text says; null for none, or for what is no JSON, as a network's own page in place of the answer. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Resolves with the `status` of the answer and its `text`, which is null unless it is 2xx and from `url` itself; with status 0
 * where not all of it came: the network is away, went in the middle, or fell silent, as when a laptop sleeps, for `longest`
 * milliseconds. `address` is where the answer is from.
 */
export async function look(url, { headers = { "X-Requested-With": "fetch" }, longest = LONGEST_MS } = {}) {
  try {
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(longest) });
    const isIt = answer.ok && !answer.redirected;
    return { status: answer.status, text: isIt ? await answer.text() : null, address: answer.redirected ? answer.url : url };
  } catch {
    return { status: 0, text: null, address: url };
  }
}
