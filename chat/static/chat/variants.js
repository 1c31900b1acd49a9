// Writing a reply again, and paging between the variants, without leaving the page.

import { toast } from "../config/js/toast.js";
import { fieldsOf } from "./sending.js";

export function startVariants(chat, thread, post) {
  chat.addEventListener("submit", async (event) => {
    const again = event.target.closest("[data-regenerate]");
    if (!again) return;
    event.preventDefault();
    const button = again.querySelector("button");
    if (button.disabled) return;
    button.disabled = true;
    if (await post(again.action, fieldsOf(again))) chat.querySelector("[data-scroll]").focus({ preventScroll: true });
    button.disabled = false;
  });

  chat.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-page]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const id = new URL(link.href).searchParams.get("at");
    const top = link.getBoundingClientRect().top;
    if (!(await thread.load(link.href, { after: thread.above(link) }))) {
      toast(document.body.dataset.offline, { kind: "error" });
      return;
    }
    const pager = thread.turn(id)?.querySelector(".pager");
    if (!pager) return;
    const next = pager.querySelector(`[data-page="${link.dataset.page}"]`) ?? pager.querySelector("[data-page]");
    next.focus({ preventScroll: true });
    thread.scrollBy(next.getBoundingClientRect().top - top);
  });
}
