// The list of conversations: its next page, and its newest state after something was said.

const FETCH = { headers: { "X-Requested-With": "fetch" } };

export function startSidebar(chat) {
  const list = document.querySelector("[data-conversations]");

  list.addEventListener("click", async (event) => {
    const more = event.target.closest("[data-more]");
    if (!more) return;
    event.preventDefault();
    const response = await fetch(more.href, FETCH).catch(() => null);
    if (!response?.ok) return;
    const holder = document.createElement("template");
    holder.innerHTML = await response.text();
    const labels = [...list.querySelectorAll(".sidebar__label")];
    const first = holder.content.querySelector(".sidebar__group");
    if (first && labels.at(-1)?.textContent === first.querySelector(".sidebar__label").textContent) {
      labels.at(-1).parentElement.querySelector(".sidebar__items").append(...first.querySelectorAll("li"));
      first.remove();
    }
    more.replaceWith(holder.content);
  });

  return {
    /** Brings the list up to date once `conversation` is no longer the newest it shows. */
    async refresh(conversation) {
      const newest = list.querySelector(".sidebar__item");
      if (newest?.getAttribute("href").endsWith(conversation)) return;
      const response = await fetch(`${chat.dataset.listUrl}?current=${conversation}`, FETCH).catch(() => null);
      if (response?.ok) list.innerHTML = await response.text();
    },
  };
}
