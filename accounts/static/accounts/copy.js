// Buttons marked [data-copy="id"] put the value of that field on the clipboard; without this module they stay hidden.

import { copyText } from "../config/js/copy.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = false;
  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", () => copyText(field.value, button.dataset.copied));
}
