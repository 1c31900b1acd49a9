// Decide with one key: A, R or S, except while writing.

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const button = document.querySelector(`[data-review] [data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!button) return;
  event.preventDefault();
  button.click();
});

document.addEventListener("click", (event) => {
  const use = event.target.closest("[data-use-correction]");
  if (!use) return;
  const box = document.querySelector("#ideal");
  box.value = use.closest(".correction").querySelector("[data-corrected]").content.textContent;
  box.focus();
});
