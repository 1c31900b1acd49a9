// Words marked in a reply can be called wrong: a button appears beside them and opens the form with the words in it. A
// better answer can be begun from the reply itself.

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

if (chat && template) {
  const button = template.content.firstElementChild.cloneNode(true);
  // A popover, since a turn clips what stands in it.
  const hide = () => button.isConnected && button.hidePopover();
  let words = "";
  let turn = null;

  document.addEventListener("selectionchange", () => {
    turn = markedTurn();
    if (!turn) return hide();
    const blocks = turn.querySelector("[data-blocks]");
    if (blocks.nextElementSibling !== button) blocks.after(button); // where Tab goes next
    button.showPopover();
    const selection = document.getSelection();
    words = selection.toString().trim();
    const place = selection.getRangeAt(0).getBoundingClientRect();
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
    const form = details.querySelector("form:last-of-type");
    form.elements.quote.value = words;
    form.elements.quote.dispatchEvent(new Event("input", { bubbles: true }));
    form.elements.right_text.focus();
    details.scrollIntoView({ block: "nearest" });
  });
}

document.addEventListener("click", ({ target }) => {
  const form = target.closest("[data-edit-reply]")?.form;
  const source = form?.closest("[data-turn]")?.querySelector("template[data-source]");
  if (!source) return;
  const { quote, right_text: right } = form.elements;
  quote.value = "";
  right.value = right.value || source.content.textContent;
  right.rows = Math.min(20, right.value.split("\n").length + 2);
  for (const field of [quote, right]) field.dispatchEvent(new Event("input", { bubbles: true }));
  right.focus();
});
