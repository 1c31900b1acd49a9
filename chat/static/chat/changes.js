// Pinning, archiving, moving, deleting conversations without leaving the page, and taking it back.

import { request } from "../config/js/request.js";
import { toast } from "../config/js/toast.js";

const FETCH = { "X-Requested-With": "fetch" };

// What was done when the page had to go, for the next one to say.
const CARRIED = "changed";

function carry(done) {
  try {
    sessionStorage.setItem(CARRIED, JSON.stringify(done));
  } catch {
    // It is on the page of what was recently deleted.
  }
}

function carried() {
  try {
    const done = JSON.parse(sessionStorage.getItem(CARRIED));
    sessionStorage.removeItem(CARRIED);
    return done;
  } catch {
    return null;
  }
}

/**
 * Sends every form[data-change] by script; `after(ids, action)` runs when something has changed, and says whether the
 * page goes with it.
 */
export function startChanges(after) {
  const { changeUrl, undo } = document.querySelector("[data-conversations]").dataset;

  async function send(form) {
    try {
      const response = await request(changeUrl, { form, headers: FETCH });
      const done = await response.json();
      if (after(done.ids, form.get("action"))) carry(done);
      else say(done);
    } catch (failure) {
      toast(failure.message, { kind: "error" });
    }
  }

  function say(done) {
    const action = done.undo && { label: undo, run: () => send(back(done)) };
    toast(done.text, { kind: "success", action: action || undefined });
  }

  function back({ undo: action, undo_ids: ids }) {
    const form = new FormData();
    form.set("action", action);
    for (const id of ids) form.append("conversation", id);
    return form;
  }

  const before = carried();
  if (before) say(before);

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-change]");
    if (!form) return;
    event.preventDefault();
    document.getElementById("manage")?.close();
    send(new FormData(form, event.submitter));
  });
}
