// A reply while it is written: its event stream into its blocks. Reconnects by itself and never misses anything.

import { announcer } from "./announce.js";
import { dressCode } from "./code.js";

export function followAll(chat, thread, composer) {
  for (const turn of chat.querySelectorAll("[data-unfinished]")) attach(turn, chat, thread, composer);
}

export function stopAll(chat) {
  for (const form of chat.querySelectorAll("[data-stop-form]")) form.requestSubmit();
}

export function attach(turn, chat, thread, composer) {
  const blocks = turn.querySelector("[data-blocks]");
  const say = announcer(chat, blocks);
  const source = new EventSource(turn.dataset.events);

  source.addEventListener("block", (event) => {
    const { index, html } = JSON.parse(event.data);
    while (blocks.children.length <= index) {
      const block = document.createElement("div");
      block.className = "block";
      blocks.append(block);
    }
    blocks.children[index].innerHTML = html;
    dressCode(blocks.children[index], chat);
    turn.querySelector("[data-state]")?.setAttribute("hidden", "");
    say.more();
  });
  source.addEventListener("state", (event) => {
    const { queue_position: place } = JSON.parse(event.data);
    const state = turn.querySelector("[data-state]");
    state.removeAttribute("hidden");
    state.querySelector("[data-state-text]").textContent = place
      ? `${chat.dataset.waiting}, ${chat.dataset.place} ${place}`
      : chat.dataset.waiting;
  });
  source.addEventListener("end", async (event) => {
    source.close();
    const { state } = JSON.parse(event.data);
    say.end(state);
    await finish(turn, thread);
    composer.refresh();
  });
  turn.querySelector("[data-stop-form]").addEventListener("submit", (event) => {
    event.preventDefault();
    event.target.hidden = true;
    fetch(event.target.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(event.target)),
      headers: { "X-Requested-With": "fetch" },
    });
  });
  composer.refresh();
}

/** The server's own view of the finished turn, with its actions; tried again while the network is away. */
async function finish(turn, thread) {
  for (let wait = 250; ; wait = Math.min(wait * 2, 8000)) {
    try {
      const response = await fetch(turn.dataset.fragment, { headers: { "X-Requested-With": "fetch" } });
      if (response.ok) {
        const html = await response.text();
        thread.replace(turn, html);
        return;
      }
    } catch {
      // The network is away: the text is on the page already, its actions can wait.
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
