// Underlines the words of a reply that the model was unsure of; the others it might have said come on hover and focus.

import { request } from "../config/js/request.js";

// A Chinese character counts as a word: there are no spaces to tell words apart by.
const WORD = /\p{Script=Han}|[\p{L}\p{N}_]+/gu;
// How far ahead a shown word is looked for in the source: Markdown, addresses and formulas are in between.
const REACH = 60;

export function startCertainty(chat) {
  const tip = chat.querySelector("[data-unsure-tip]");
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      show(target, chat);
    }
  });
  const watch = () => {
    for (const turn of chat.querySelectorAll("[data-certainty]:not([data-certainty-watched])")) {
      turn.dataset.certaintyWatched = "";
      seen.observe(turn);
    }
  };
  chat.addEventListener("parley:replies", watch);
  watch();

  chat.addEventListener("click", (event) => {
    const button = event.target.closest("[data-unsure-toggle]");
    if (!button) return;
    const turn = button.closest("[data-turn]");
    const isOn = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!isOn));
    if (isOn) hide(turn);
    else show(turn, chat);
  });
  for (const name of ["pointerover", "focusin"]) {
    chat.addEventListener(name, ({ target }) => target.matches?.("mark.unsure") && open(tip, target));
  }
  for (const name of ["pointerout", "focusout"]) {
    chat.addEventListener(name, ({ target }) => target.matches?.("mark.unsure") && tip.hidePopover());
  }
  chat.addEventListener("keydown", ({ key }) => key === "Escape" && tip.hidePopover());
}

function open(tip, mark) {
  tip.textContent = mark.dataset.tip;
  tip.showPopover();
  const { left, top, bottom } = mark.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  tip.style.top = `${top > height + 12 ? top - height - 6 : bottom + 6}px`;
}

function hide(turn) {
  for (const mark of turn.querySelectorAll("mark.unsure")) mark.replaceWith(...mark.childNodes);
  turn.querySelector("[data-blocks]").normalize();
}

async function show(turn, chat) {
  const { spans } = await request(turn.dataset.certainty).then((answer) => answer.json());
  const blocks = turn.querySelector("[data-blocks]");
  if (!turn.isConnected || blocks.querySelector("mark.unsure")) return;
  const source = turn.querySelector("[data-source]").content.textContent;
  for (const { node, start, end, tip } of places(blocks, source, spans, chat).reverse()) {
    const word = node.splitText(start);
    word.splitText(end - start);
    const mark = Object.assign(document.createElement("mark"), { className: "unsure", tabIndex: 0 });
    mark.dataset.tip = tip;
    mark.setAttribute("aria-describedby", "unsure-tip");
    word.replaceWith(mark);
    mark.append(word);
  }
}

/** Where in the shown text the unsure words stand: its words are those of the source, in the same order. */
function places(blocks, source, spans, chat) {
  const words = [...source.matchAll(WORD)].map(({ 0: text, index }) => ({ text, start: index, end: index + text.length }));
  const found = [];
  let next = 0;
  const walker = document.createTreeWalker(blocks, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.parentElement.closest("figcaption, math")) continue;
    for (const match of node.data.matchAll(WORD)) {
      const index = words.findIndex(({ text }, at) => at >= next && at < next + REACH && text === match[0]);
      if (index < 0) continue;
      next = index + 1;
      const word = words[index];
      const unsure = spans.filter((span) => span.start < word.end && span.end > word.start);
      if (unsure.length) {
        found.push({ node, start: match.index, end: match.index + match[0].length, tip: said(unsure, word, source, chat) });
      }
    }
  }
  return found;
}

/** "40 %. Or: liquid 30 %, sea 12 %", of the least sure part of the word. */
function said(unsure, word, source, chat) {
  const { probability, start, alternatives } = unsure.reduce((least, span) => (span.probability < least.probability ? span : least));
  const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
  const head = source.slice(word.start, Math.max(word.start, start));
  const others = alternatives.map(([text, share]) => `${head}${text.trim() || "␣"} ${percent.format(share)}`).join(", ");
  const text = others ? chat.dataset.unsure : chat.dataset.unsureAlone;
  return text.replace("{share}", percent.format(probability)).replace("{others}", others);
}
