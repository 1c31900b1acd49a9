// The title of the conversation: shown wherever the page has it, and looked for after the first reply, when the model makes it.

import { look, parsed } from "../config/js/look.js";
import { isBusy } from "./follow.js";

const LOOKS = [1500, 3000, 6000, 12_000];

export function showTitle(chat, title) {
  for (const place of document.querySelectorAll("[data-title]")) place.textContent = title;
  document.title = `${title} · ${chat.dataset.site}`;
  const field = document.querySelector("#rename [data-rename]").elements.title;
  const isBeingTyped = field.closest("dialog").open && field.value !== field.defaultValue;
  field.defaultValue = title;
  if (!isBeingTyped) field.value = title;
}

/**
 * Looks for the model's title a few times, then leaves it for the next visit. Returns what ends that for a conversation
 * which a person has named.
 */
export function startTitles(chat, sidebar) {
  const asked = new Set();
  const named = new Set();

  chat.addEventListener("parley:replies", async () => {
    const id = chat.dataset.conversation;
    const isFirst = chat.querySelectorAll("[data-turn]").length === 2;
    if (!id || isBusy(chat) || !isFirst || asked.has(id)) return;
    asked.add(id);
    const isWanted = () => chat.dataset.conversation === id && !named.has(id);
    for (const wait of LOOKS) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (!isWanted()) return;
      const { text } = await look(`${location.pathname}/title`);
      const found = parsed(text);
      if (!isWanted()) return;
      if (!found || found.is_first_words) continue;
      showTitle(chat, found.title);
      sidebar.reload(id);
      return;
    }
  });

  return (conversation) => named.add(conversation);
}
