// The pages of releases: while one is being made, its new state is put in place of the old.

import { keepFresh } from "./refresh.js";

keepFresh("[data-progress] .progress", (page) => {
  const [shown, fresh] = [document, page].map((one) => one.querySelector("[data-progress]"));
  if (fresh && fresh.innerHTML !== shown.innerHTML) replace(shown, fresh);
});

// The button that had the focus keeps it, so that a person on the keyboard is not thrown to the top.
function replace(shown, fresh) {
  const action = document.activeElement?.closest("form")?.action;
  shown.replaceWith(document.adoptNode(fresh));
  if (action) [...document.forms].find((form) => form.action === action)?.querySelector("button")?.focus();
}
