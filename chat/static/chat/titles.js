// The title that the model makes after the first reply: looked for a few times, then left for the next visit.

import { isBusy } from "./follow.js";

const LOOKS = [1500, 3000, 6000, 12_000];

export function startTitles(chat, sidebar) {
  const asked = new Set();

  chat.addEventListener("parley:replies", async () => {
    const id = chat.dataset.conversation;
    const isFirst = chat.querySelectorAll("[data-turn]").length === 2;
    if (!id || isBusy(chat) || !isFirst || asked.has(id)) return;
    asked.add(id);
    for (const wait of LOOKS) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (chat.dataset.conversation !== id) return;
      const response = await fetch(`${location.pathname}/title`, { headers: { Accept: "application/json" } }).catch(() => null);
      const found = response?.ok ? await response.json() : null;
      if (!found || found.is_first_words) continue;
      for (const title of document.querySelectorAll("[data-title]")) title.textContent = found.title;
      document.title = `${found.title} · ${chat.dataset.site}`;
      document.querySelector("[data-rename]").elements.title.value = found.title;
      sidebar.reload(id);
      return;
    }
  });
}
