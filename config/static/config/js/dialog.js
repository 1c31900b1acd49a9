// Native dialogs, opened by any [data-dialog-open="id"] and closed by any [data-dialog-close] inside or a click outside.

/** When it closes, the focus goes back to where it was; to the button of the menu it was in, which has closed meanwhile. */
export function openDialog(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return dialog;
  const menu = document.activeElement?.closest("[popover]");
  dialog.showModal();
  if (menu) dialog.addEventListener("close", () => focusButtonOf(menu), { once: true });
  return dialog;
}

function focusButtonOf(menu) {
  // What is hidden loses the focus only when the page is drawn again.
  const held = document.activeElement;
  if (held !== document.body && held?.checkVisibility()) return;
  const buttons = [...document.querySelectorAll(`[popovertarget="${CSS.escape(menu.id)}"]`)];
  buttons.find((button) => button.checkVisibility())?.focus();
}

/** Ask before something that cannot be undone; resolves true only when the person confirms. */
export function confirmDialog({ title, text, confirm, danger = false }) {
  const dialog = document.getElementById("confirm-dialog");
  dialog.querySelector("[data-confirm-title]").textContent = title;
  dialog.querySelector("[data-confirm-text]").textContent = text;
  const button = dialog.querySelector("[data-confirm-yes]");
  button.textContent = confirm;
  button.classList.toggle("button--danger", danger);
  button.classList.toggle("button--primary", !danger);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog-open]");
  if (opener) {
    openDialog(opener.dataset.dialogOpen);
    return;
  }
  const dialog = event.target.closest("dialog.dialog");
  if (!dialog) return;
  const closer = event.target.closest("[data-dialog-close]");
  if (closer) dialog.close(closer.value ?? "");
  else if (event.target === dialog && outside(event, dialog)) dialog.close();
});

function outside({ clientX, clientY }, dialog) {
  const box = dialog.getBoundingClientRect();
  return clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
}

// A form marked data-confirm asks first; without this module it is sent at once, and the server still decides.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.confirmed) return;
  event.preventDefault();
  const { confirm: title, confirmText: text = "", confirmButton: confirm = event.submitter?.textContent } = form.dataset;
  if (!(await confirmDialog({ title, text, confirm, danger: true }))) return;
  form.dataset.confirmed = "yes";
  form.requestSubmit(event.submitter);
});
