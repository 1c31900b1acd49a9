// The turns on the page: putting new ones in their place, keeping the newest in sight, copying.

import { copyText } from "../config/js/copy.js";
import { look } from "../config/js/look.js";
import { dressCode } from "./code.js";
import { followAll } from "./follow.js";

const AT_THE_END = 48;

export function startThread(chat) {
  const list = chat.querySelector("[data-thread]");
  const scroller = chat.querySelector("[data-scroll]");
  const jump = chat.querySelector("[data-jump]");
  let follows = !location.hash;
  let lastTop = 0;

  const gap = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  const toEnd = () => {
    scroller.scrollTop = scroller.scrollHeight;
  };
  // The reader's hand decides: the first step up lets go of the end, coming back to it holds on again.
  scroller.addEventListener(
    "scroll",
    () => {
      if (scroller.scrollTop < lastTop - 1 && gap() > 1) follows = false;
      else if (gap() < AT_THE_END) follows = true;
      lastTop = scroller.scrollTop;
      jump.hidden = gap() < AT_THE_END;
    },
    { passive: true },
  );
  const later = () => list.querySelector("[data-later]");
  jump.addEventListener("click", () => {
    if (later()) return location.assign(location.pathname);
    follows = true;
    return toEnd();
  });
  const resized = new ResizeObserver(() => {
    if (follows) toEnd();
    else jump.hidden = gap() < AT_THE_END;
  });
  resized.observe(list);
  resized.observe(scroller);

  const parsed = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return [...holder.content.children];
  };
  const putBelow = (anchor, turns) => {
    if (anchor) while (anchor.nextElementSibling) anchor.nextElementSibling.remove();
    else list.replaceChildren();
    list.append(...turns);
  };
  const holdOn = () => {
    follows = true;
    toEnd();
  };

  const thread = {
    turn: (id) => list.querySelector(`[data-turn="${CSS.escape(id)}"]`),

    /** Whether the page shows a part from the middle, without the end. */
    isPart: () => Boolean(later()),

    /** The id of the message that the next one follows; empty at the start. */
    last: () => later()?.dataset.later ?? [...list.querySelectorAll("[data-turn]")].at(-1)?.dataset.turn ?? "",

    /** The turn above the one that `element` stands in; null when the page shows none there. */
    above(element) {
      const turn = [...list.children].find((child) => child.contains(element));
      return turn?.previousElementSibling?.matches("[data-turn]") ? turn.previousElementSibling : null;
    },

    scrollBy(pixels) {
      follows = false;
      scroller.scrollTop += pixels;
    },

    /** The person's words at once, before the server has them; returns what takes them away again. */
    pending(text) {
      const welcome = list.querySelector("[data-welcome]");
      if (welcome) welcome.hidden = true;
      const turns = [...chat.querySelector("template[data-pending]").content.cloneNode(true).children];
      turns[0].querySelector("[data-text]").textContent = text;
      list.append(...turns);
      holdOn();
      return () => {
        for (const turn of turns) turn.remove();
        if (welcome) welcome.hidden = false;
      };
    },

    /** Everything below turn `after` (all of it when null) gives way to `html`, and the turn itself to `afterHtml`. */
    replaceBelow(after, html, afterHtml) {
      const anchor = after ? thread.turn(after) : null;
      putBelow(anchor, parsed(html));
      if (anchor && afterHtml) anchor.replaceWith(...parsed(afterHtml));
      holdOn();
    },

    /**
     * Shows the path at `url` instead, or with `after` only what it has below that turn: of hundreds of turns the rest
     * is neither made nor drawn again. Resolves with whether that worked.
     */
    async load(url, { after } = {}) {
      const address = new URL(url, location);
      if (after) address.searchParams.set("below", after.dataset.turn);
      const { status, text } = await look(address);
      if (after && status === 404) return thread.load(url);
      if (text === null) return false;
      const turns = parsed(text);
      putBelow(after, turns);
      for (const turn of turns) dressCode(turn, chat);
      followAll(chat);
      if (follows) toEnd();
      return true;
    },
  };

  chat.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy-turn]");
    if (copy) copyTurn(copy.closest("[data-turn]"), chat);
  });
  if (follows) toEnd();
  return thread;
}

async function copyTurn(turn, chat) {
  const source = turn.querySelector("[data-source]");
  if (!(await copyText((source.content ?? source).textContent, chat.dataset.copied))) return;
  turn.dispatchEvent(new CustomEvent("parley:copied", { bubbles: true }));
}
