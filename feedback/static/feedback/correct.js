// Words marked in a reply can be called wrong: a button appears beside them and opens the form with the words in it, and
// with which of them was marked where they stand more than once.

const chat = document.querySelector("[data-chat]");
const template = document.querySelector("template[data-mark-wrong]");

/** The finished reply that the whole selection lies in, if there is one. */
function markedTurn() {
  const selection = document.getSelection();
  if (selection.isCollapsed || !selection.toString().trim()) return null;
  const element = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement);
  const [from, to] = [selection.anchorNode, selection.focusNode].map((node) => element(node)?.closest("[data-blocks]"));
  const turn = from && from === to ? from.closest("[data-turn]") : null;
  return turn?.querySelector("[data-correct]") ? turn : null;
}

/** The text of a part of a reply as the server rendered it, without the tools that the page has put into code blocks. */
function textOf(range) {
  const part = range.cloneContents();
  for (const extra of part.querySelectorAll('.code__tools, figure[data-language=""] > figcaption')) extra.remove();
  return part.textContent;
}

/** Which of the equal words in the reply is marked, counted from 1 as `feedback.placing` counts them. */
function occurrenceOf(words, marked, blocks) {
  const range = document.createRange();
  range.selectNodeContents(blocks);
  const text = textOf(range);
  range.setEnd(marked.startContainer, marked.startOffset);
  const before = textOf(range);
  const start = before.length + text.slice(before.length).search(/\S|$/);
  const escaped = words.split(/\s+/).map((word) => word.replace(/[$()*+.?[\\\]^{|}]/g, "\\$&"));
  const places = [...text.matchAll(new RegExp(`(?=${escaped.join("\\s*")})`, "gu"))];
  return places.findIndex(({ index }) => index === start) + 1 || "";
}

if (chat && template) {
  const button = template.content.firstElementChild.cloneNode(true);
  // A popover, since a turn clips what stands in it.
  const hide = () => button.isConnected && button.hidePopover();
  let [words, marked, turn] = ["", null, null];

  document.addEventListener("selectionchange", () => {
    turn = markedTurn();
    if (!turn) return hide();
    const blocks = turn.querySelector("[data-blocks]");
    if (blocks.nextElementSibling !== button) blocks.after(button); // where Tab goes next
    button.showPopover();
    const selection = document.getSelection();
    words = selection.toString().trim();
    marked = selection.getRangeAt(0).cloneRange();
    const place = marked.getBoundingClientRect();
    button.style.top = `${Math.min(place.bottom + 6, innerHeight - 56)}px`;
    button.style.left = `${Math.max(8, Math.min(place.left, innerWidth - 170))}px`;
  });
  chat.querySelector("[data-scroll]").addEventListener("scroll", hide, { passive: true });
  // A press would collapse the selection before the click.
  button.addEventListener("pointerdown", (event) => event.preventDefault());
  button.addEventListener("click", () => {
    const details = turn?.querySelector("[data-correct]");
    hide();
    if (!details) return;
    details.hidden = false;
    details.open = true;
    const { quote, occurrence, right_text: right } = details.querySelector("[data-correction]").elements;
    quote.value = words;
    quote.dispatchEvent(new Event("input", { bubbles: true }));
    occurrence.value = occurrenceOf(words, marked, turn.querySelector("[data-blocks]"));
    occurrence.dispatchEvent(new Event("input", { bubbles: true }));
    right.focus();
    details.scrollIntoView({ block: "nearest" });
  });
}

// Words that are written by hand were not marked anywhere.
document.addEventListener("input", ({ target }) => {
  const place = target.name === "quote" && target.closest("[data-rating]") ? target.form.elements.occurrence : null;
  if (!place?.value) return;
  place.value = "";
  place.dispatchEvent(new Event("input", { bubbles: true }));
});
