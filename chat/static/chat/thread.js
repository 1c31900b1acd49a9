// The turns on the page: putting new ones in their place, following the newest, editing and copying.

import { toast } from "../config/js/toast.js";
import { dressCode } from "./code.js";

const NEAR_THE_END = 80;

export function startThread(chat) {
  const list = chat.querySelector("[data-thread]");
  const scroller = chat.querySelector("[data-scroll]");
  const jump = chat.querySelector("[data-jump]");
  let follows = true;

  const toEnd = () => {
    scroller.scrollTop = scroller.scrollHeight;
  };
  scroller.addEventListener(
    "scroll",
    () => {
      follows = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_THE_END;
      jump.hidden = follows;
    },
    { passive: true },
  );
  jump.addEventListener("click", () => {
    follows = true;
    toEnd();
  });
  new ResizeObserver(() => follows && toEnd()).observe(list);

  const thread = {
    list,
    last: () => list.dataset.last,
    turn: (id) => list.querySelector(`[data-turn="${id}"]`),

    /** The person's words at once, before the server has them; returns what takes them away again. */
    pending(text) {
      list.querySelector("[data-welcome]")?.remove();
      const turn = chat.querySelector("template[data-pending]").content.firstElementChild.cloneNode(true);
      turn.classList.add("turn--pending");
      turn.querySelector("[data-text]").textContent = text;
      list.append(turn);
      follows = true;
      toEnd();
      return () => turn.remove();
    },

    /** Everything below turn `after` (all of it when null) gives way to `html`; returns the new turns. */
    replaceBelow(after, html) {
      const anchor = after ? thread.turn(after) : null;
      if (anchor) while (anchor.nextElementSibling) anchor.nextElementSibling.remove();
      else list.replaceChildren();
      const holder = document.createElement("template");
      holder.innerHTML = html;
      const added = [...holder.content.children];
      list.append(...added);
      list.dataset.last = added.at(-1).dataset.turn;
      follows = true;
      toEnd();
      return added;
    },

    /** The finished form of a turn, as the server shows it. */
    replace(turn, html) {
      const holder = document.createElement("template");
      holder.innerHTML = html;
      const fresh = holder.content.firstElementChild;
      turn.replaceWith(fresh);
      dressCode(fresh, chat);
      return fresh;
    },
  };

  chat.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy-turn]");
    if (copy) copyTurn(copy.closest("[data-turn]"), chat);
  });
  if (location.hash) follows = false;
  else toEnd();
  return thread;
}

async function copyTurn(turn, chat) {
  const source = turn.querySelector("[data-source]");
  await navigator.clipboard.writeText((source.content ?? source).textContent);
  toast(chat.dataset.copied, { kind: "success" });
  turn.dispatchEvent(new CustomEvent("parley:copied", { bubbles: true }));
}
