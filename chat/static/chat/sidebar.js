// The list of conversations: its next page, its newest state, and the options of each row.

import { openDialog } from "../config/js/dialog.js";
import { look } from "../config/js/look.js";
import { startChanges } from "./changes.js";

/**
 * `onChange(ids, action)` runs after conversations were pinned, archived, moved, deleted or restored, and says whether
 * the page goes with it.
 */
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

  const linkTo = (href) => [...list.querySelectorAll("a")].find((one) => one.getAttribute("href") === href);

  async function extend(more) {
    if (more.dataset.loading) return;
    more.dataset.loading = "yes";
    const { text: html } = await look(more.href);
    if (html === null) {
      delete more.dataset.loading;
      return;
    }
    const hadFocus = document.activeElement === more;
    const known = list.querySelectorAll(".sidebar__item").length;
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
    if (hadFocus) list.querySelectorAll(".sidebar__item")[known]?.focus();
    watch();
  }

  async function reload(conversation) {
    const { text: html } = await look(`${list.dataset.listUrl}?current=${conversation}`);
    if (html === null) return;
    const held = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    list.innerHTML = html;
    if (held) (linkTo(held) ?? list.querySelector("a") ?? document.querySelector("[data-search]")).focus();
    watch();
  }

  async function manage(link) {
    const { text: html } = await look(link.href);
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
  listenForShortcuts();
  startChanges((ids, action) => {
    reload(document.querySelector("[data-chat]")?.dataset.conversation ?? "");
    return onChange?.(ids, action) === true;
  });
  watch();

  return {
    /** Brings the list up to date once `conversation` is no longer the newest it shows. */
    async refresh(conversation) {
      const newest = list.querySelector("[data-group] .sidebar__item");
      if (!newest?.getAttribute("href").endsWith(conversation)) await reload(conversation);
    },
    reload,

    /** Gives its row the new title. */
    rename({ conversation, title, options }) {
      const link = [...list.querySelectorAll(".sidebar__item")].find((one) => one.getAttribute("href").endsWith(conversation));
      if (!link) return;
      link.textContent = title;
      link.nextElementSibling.setAttribute("aria-label", options);
    },
  };
}

/** The keys that lead to a new chat and to the search, wherever the list is. */
function listenForShortcuts() {
  const search = document.querySelector("#search");
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey || !(event.ctrlKey || event.metaKey)) return;
    const shortcut = `${event.shiftKey ? "shift " : ""}${event.key.toLowerCase()}`;
    if (shortcut === "shift o") document.querySelector("[data-new]").click();
    else if (shortcut === "k" && search) search.focus();
    else if (shortcut === "k") document.querySelector("[data-search]").click();
    else return;
    event.preventDefault();
  });
}
