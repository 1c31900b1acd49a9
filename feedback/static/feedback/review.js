// Decide by keyboard: A, R or S decide at once, W writes, C takes the correction over; Escape leaves the text, and
// Control and Enter in it approve with what was written.

const form = document.querySelector("[data-review]");
const box = form?.querySelector("[name=ideal_text]");

function press(key) {
  document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.click();
}

document.addEventListener("keydown", (event) => {
  if (!form || event.altKey) return;
  if (event.target === box) {
    if (event.key === "Escape") box.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) press("a");
    return;
  }
  if (event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
  const key = event.key.toLowerCase();
  if (!document.querySelector(`[data-key="${CSS.escape(key)}"]`)) return;
  event.preventDefault();
  press(key);
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-write]")) box.focus();
  const use = event.target.closest("[data-use-correction]");
  if (!use) return;
  box.value = use.closest(".correction").querySelector("[data-corrected]").content.textContent;
  box.focus();
});
