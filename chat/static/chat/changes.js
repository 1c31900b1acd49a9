// Pinning, archiving, moving, deleting conversations without leaving the page, and taking it back.

import { request } from "../config/js/request.js";
import { toast } from "../config/js/toast.js";

const FETCH = { "X-Requested-With": "fetch" };

/** Sends every form[data-change] by script; `after(ids, action)` runs when something has changed. */
export function startChanges(after) {
  const { changeUrl, undo } = document.querySelector("[data-conversations]").dataset;

  async function send(form) {
    try {
      const response = await request(changeUrl, { form, headers: FETCH });
      const done = await response.json();
      const action = done.undo && { label: undo, run: () => send(back(done)) };
      toast(done.text, { kind: "success", action: action || undefined });
      after(done.ids, form.get("action"));
    } catch (failure) {
      toast(failure.message, { kind: "error" });
    }
  }

  function back({ undo: action, undo_ids: ids }) {
    const form = new FormData();
    form.set("action", action);
    for (const id of ids) form.append("conversation", id);
    return form;
  }

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-change]");
    if (!form) return;
    event.preventDefault();
    document.getElementById("manage")?.close();
    send(new FormData(form, event.submitter));
  });
}
