// Sends a form about a reply; the answer is the rating widget as it is now, which takes the place of the old one.

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

/** Puts the widget as it is now in the place of the old one, with all that was begun there in other forms than `sent`. */
export function replace(widget, fresh, sent) {
  const direction = (within) => within.querySelector(".rating__form > input[name=value]")?.value;
  for (const field of widget.querySelectorAll("textarea, input")) {
    if (sent.contains(field)) continue;
    if (field.type === "checkbox") {
      // The other thumb has reasons of its own.
      if (field.checked === field.defaultChecked || direction(widget) !== direction(fresh)) continue;
      const next = [...fresh.querySelectorAll(`[name=${field.name}]`)].find(({ value }) => value === field.value);
      Object.assign(next, { checked: field.checked }).closest("details").open = true;
    } else if (field.id) {
      const next = fresh.querySelector(`#${field.id}`);
      if (!next || field.value === next.value || (field.type !== "hidden" && field.value === field.defaultValue)) continue;
      next.value = field.value;
      if (field.type !== "hidden") Object.assign(next.closest("details"), { hidden: false, open: true });
    }
  }
  widget.replaceWith(fresh);
}
