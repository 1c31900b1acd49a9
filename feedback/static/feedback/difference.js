// What changed between two texts, word by word; a Chinese character is a word.

const WORD = /\p{Script=Han}|[^\s\p{Script=Han}]+|\s+/gu;
const LARGEST = 4_000_000;
const ELEMENTS = { same: "span", gone: "del", new: "ins" };
// What stays the same is shown for so many words beside what changes.
const AROUND = 40;

/** Shows in `place` what changes; nothing where the texts are equal, or nothing is written yet. */
export function showDifference(place, before, after) {
  place.hidden = !after.trim() || before === after;
  if (place.hidden) return;
  const runs = difference(before, after);
  place.replaceChildren(
    ...runs.map(([kind, text], at) => {
      const element = document.createElement(ELEMENTS[kind]);
      element.textContent = kind === "same" ? shortened(text, at > 0, at < runs.length - 1) : text;
      return element;
    }),
  );
}

function shortened(text, followsChange, leadsToChange) {
  const words = text.match(WORD);
  const [start, end] = [followsChange ? AROUND : 0, leadsToChange ? AROUND : 0];
  if (words.length <= start + end + 1) return text;
  return `${words.slice(0, start).join("")} … ${end ? words.slice(-end).join("") : ""}`;
}

/** Runs of [kind, text] in order; kind is "same", "gone" or "new". */
export function difference(before, after) {
  const [old, fresh] = [before.match(WORD) ?? [], after.match(WORD) ?? []];
  let start = 0;
  while (start < old.length && start < fresh.length && old[start] === fresh[start]) start += 1;
  let end = 0;
  while (end < Math.min(old.length, fresh.length) - start && old.at(-1 - end) === fresh.at(-1 - end)) end += 1;
  const middle = compare(old.slice(start, old.length - end), fresh.slice(start, fresh.length - end));
  const same = (words) => words.map((word) => ["same", word]);
  return joined([...same(old.slice(0, start)), ...middle, ...same(old.slice(old.length - end))]);
}

/** By the longest common subsequence; texts too long for its table are replaced as a whole. */
function compare(old, fresh) {
  const [rows, columns] = [old.length + 1, fresh.length + 1];
  if (rows * columns > LARGEST) return [...old.map((word) => ["gone", word]), ...fresh.map((word) => ["new", word])];
  const lengths = new Uint16Array(rows * columns);
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = fresh.length - 1; j >= 0; j -= 1) {
      const right = lengths[i * columns + j + 1];
      const below = lengths[(i + 1) * columns + j];
      lengths[i * columns + j] = old[i] === fresh[j] ? lengths[(i + 1) * columns + j + 1] + 1 : Math.max(right, below);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < fresh.length) {
    if (i < old.length && j < fresh.length && old[i] === fresh[j]) {
      found.push(["same", old[i]]);
      [i, j] = [i + 1, j + 1];
    } else if (j === fresh.length || (i < old.length && lengths[(i + 1) * columns + j] >= lengths[i * columns + j + 1])) {
      found.push(["gone", old[i++]]);
    } else {
      found.push(["new", fresh[j++]]);
    }
  }
  return found;
}

function joined(words) {
  const runs = [];
  for (const [kind, word] of words) {
    if (runs.at(-1)?.[0] === kind) runs.at(-1)[1] += word;
    else runs.push([kind, word]);
  }
  return runs;
}
