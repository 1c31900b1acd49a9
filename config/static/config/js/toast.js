// Short notices in the page's live region. Those the server wrote into the page are announced and dismissed the same way.

const LINGER = 6000;
// What can be undone must be reachable before it goes.
const LINGER_WITH_ACTION = 20_000;

const region = () => document.querySelector("[data-toasts]");

// Where the focus was before it came to a notice: it goes back there when the notice goes.
const cameFrom = new WeakMap();

function dismiss(element) {
  const hadFocus = element.contains(document.activeElement);
  element.remove();
  if (!hadFocus) return;
  const before = cameFrom.get(element);
  (before?.isConnected ? before : document.getElementById("content"))?.focus();
}

function start(element) {
  element.querySelector("[data-toast-close]")?.addEventListener("click", () => dismiss(element));
  element.addEventListener("focusin", ({ relatedTarget }) => {
    if (relatedTarget && !element.contains(relatedTarget)) cameFrom.set(element, relatedTarget);
  });
  if (element.classList.contains("toast--error")) return;
  const linger = element.querySelector("[data-toast-action]") ? LINGER_WITH_ACTION : LINGER;
  let timer = setTimeout(dismiss, linger, element);
  const hold = () => clearTimeout(timer);
  const resume = () => {
    hold();
    timer = setTimeout(dismiss, linger, element);
  };
  element.addEventListener("pointerenter", hold);
  element.addEventListener("focusin", hold);
  element.addEventListener("pointerleave", resume);
  element.addEventListener("focusout", resume);
}

/**
 * Say `text`; `kind` is info, success, warning or error (errors stay until dismissed). `action` adds one button, which
 * Control and Z press as well.
 */
export function toast(text, { kind = "info", action } = {}) {
  const template = document.querySelector(`template[data-toast-kind="${kind}"]`);
  const element = template.content.firstElementChild.cloneNode(true);
  element.querySelector(".toast__text").textContent = text;
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button--quiet button--small";
    button.textContent = action.label;
    button.dataset.toastAction = "";
    button.setAttribute("aria-keyshortcuts", "Control+Z");
    button.addEventListener("click", () => {
      dismiss(element);
      action.run();
    });
    element.querySelector("[data-toast-close]").before(button);
  }
  region().append(element);
  start(element);
  return () => dismiss(element);
}

document.addEventListener("keydown", (event) => {
  const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "z";
  const button = [...region().querySelectorAll("[data-toast-action]")].at(-1);
  // In a text field they take back what was typed.
  if (!isUndo || !button || event.target.closest("input:not([type=checkbox]), textarea, [contenteditable]")) return;
  event.preventDefault();
  button.click();
});

// A live region announces what is put into it after it exists: take the server's notices out and put them back.
for (const element of document.querySelectorAll("[data-toasts] > .toast")) {
  element.remove();
  requestAnimationFrame(() => {
    region().append(element);
    start(element);
  });
}
