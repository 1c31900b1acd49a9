// Renaming a conversation without leaving the page; the forms of the page and of the list work as pages too.

import { request } from "../config/js/request.js";
import { toast } from "../config/js/toast.js";

/** Sends every form[data-rename] by script; `onRename({conversation, title})` runs when there is a new title. */
export function startRenaming(sidebar, onRename) {
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-rename]");
    if (!form) return;
    event.preventDefault();
    form.closest("dialog").close();
    try {
      const response = await request(form.action, {
        form: new FormData(form),
        headers: { "X-Requested-With": "fetch" },
      });
      const renamed = await response.json();
      sidebar.rename(renamed);
      onRename(renamed);
      toast(renamed.text, { kind: "success" });
    } catch (failure) {
      toast(failure.message, { kind: "error" });
    }
  });
}
