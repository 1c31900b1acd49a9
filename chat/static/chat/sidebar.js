// The list of conversations: its next page, its newest state, and the options of each row.

import { openDialog } from "../config/js/dialog.js";
import { startChanges } from "./changes.js";

const FETCH = { headers: { "X-Requested-With": "fetch" } };

/** `onChange(ids, action)` runs after conversations were pinned, archived, moved, deleted or restored. */
export function startSidebar(onChange) {
  const list = document.querySelector("[data-conversations]");
  const nearEnd = new IntersectionObserver(
    (seen) => seen.filter((entry) => entry.isIntersecting).forEach((entry) => extend(entry.target)),
    { root: list, rootMargin: "200px" },
  );
  const watch = () => {
    const more = list.querySelector("[data-more]");
    if (more) nearEnd.observe(more);
  };

  async function fragment(url) {
    const response = await fetch(url, FETCH).catch(() => null);
    return response?.ok && !response.redirected ? response.text() : null;
  }

  async function extend(more) {
    if (more.dataset.loading) return;
    more.dataset.loading = "yes";
    const html = await fragment(more.href);
    if (html === null) {
      delete more.dataset.loading;
      return;
    }
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const last = [...list.querySelectorAll("[data-group]")].at(-1);
    const first = holder.content.querySelector("[data-group]");
    const label = (group) => group?.querySelector(".sidebar__label").textContent;
    if (first && label(last) === label(first)) {
      last.querySelector(".sidebar__items").append(...first.querySelectorAll("li"));
      first.remove();
    }
    more.replaceWith(holder.content);
    watch();
  }

  async function reload(conversation) {
    const html = await fragment(`${list.dataset.listUrl}?current=${conversation}`);
    if (html === null) return;
    list.innerHTML = html;
    watch();
  }

  async function manage(link) {
    const html = await fragment(link.href);
    if (html === null) return location.assign(link.href);
    document.querySelector("[data-manage-body]").innerHTML = html;
    return openDialog("manage");
  }

  list.addEventListener("click", (event) => {
    const link = event.target.closest("[data-manage], [data-more]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if ("more" in link.dataset) extend(link);
    else manage(link);
  });
  startChanges((ids, action) => {
    reload(document.querySelector("[data-chat]")?.dataset.conversation ?? "");
    onChange?.(ids, action);
  });
  watch();

  return {
    /** Brings the list up to date once `conversation` is no longer the newest it shows. */
    async refresh(conversation) {
      const newest = list.querySelector("[data-group] .sidebar__item");
      if (!newest?.getAttribute("href").endsWith(conversation)) await reload(conversation);
    },
    reload,
  };
}
