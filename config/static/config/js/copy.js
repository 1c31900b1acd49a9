// Puts text on the clipboard and says so.

import { toast } from "./toast.js";

/** Resolves with whether it was copied; `said` is what to tell then. */
export async function copyText(text, said) {
  const wasCopied = await (navigator.clipboard?.writeText(text).then(() => true) ?? copyMarked(text)).catch(() => false);
  if (wasCopied) toast(said, { kind: "success" });
  else toast(document.body.dataset.requestFailed, { kind: "error" });
  return wasCopied;
}

/** Behind plain http a browser has no clipboard for scripts; what is marked it copies all the same. */
async function copyMarked(text) {
  const before = document.activeElement;
  const area = document.createElement("textarea");
  Object.assign(area, { value: text, readOnly: true, className: "visually-hidden" });
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const wasCopied = document.execCommand("copy");
  area.remove();
  before?.focus();
  return wasCopied;
}
