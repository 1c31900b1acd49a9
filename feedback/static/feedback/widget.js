// Sends a form about a reply; the answer is the rating widget as it is now.

import { toast } from "../config/js/toast.js";

/** Resolves with whether it was taken and the widget to show; with nothing, and said so, when no answer came. */
export async function post(form, submitter, within = form) {
  const fields = new URLSearchParams(new FormData(form, submitter));
  const buttons = [...within.querySelectorAll("button:enabled")];
  for (const button of buttons) button.disabled = true;
  try {
    const response = await fetch(form.action, { method: "POST", body: fields, headers: { "X-Requested-With": "fetch" } });
    // Whoever is signed out is sent to a page that is no widget.
    if (response.redirected) throw new Error(response.url);
    if (!response.ok && ![400, 429].includes(response.status)) throw new Error(response.statusText);
    const holder = document.createElement("template");
    holder.innerHTML = await response.text();
    return { isTaken: response.ok, fresh: holder.content.firstElementChild };
  } catch {
    toast(document.body.dataset.requestFailed, { kind: "error" });
    return null;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}
