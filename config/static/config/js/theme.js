// The person's choice of theme: shown at once, kept in a cookie, and on the account when somebody is signed in.

import { request } from "./request.js";

const YEAR = 31_536_000;

/** `theme` is "system", "light" or "dark". */
export function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${theme}; path=/; max-age=${YEAR}; samesite=lax${secure}`;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-set-theme]");
  if (!button) return;
  event.preventDefault();
  setTheme(button.value);
  for (const other of document.querySelectorAll("[data-set-theme]")) {
    other.setAttribute("aria-pressed", String(other === button));
  }
  const { form } = button;
  request(form.action, { form: { theme: button.value } }).catch(() => {});
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-theme-field] input, [data-theme-field] select")) setTheme(event.target.value);
});
