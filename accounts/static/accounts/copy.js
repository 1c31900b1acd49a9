// Buttons marked [data-copy="id"] put the value of that field on the clipboard; without this module they stay hidden.

import { toast } from "../config/js/toast.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = false;
  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(field.value);
    toast(button.dataset.copied, { kind: "success" });
  });
}
