// Short notices in the page's live region. Those the server wrote into the page are announced and dismissed the same way.

const LINGER = 6000;

const region = () => document.querySelector("[data-toasts]");

function dismiss(element) {
  element.remove();
}

function start(element) {
  element.querySelector("[data-toast-close]")?.addEventListener("click", () => dismiss(element));
  if (element.classList.contains("toast--error")) return;
  let timer = setTimeout(dismiss, LINGER, element);
  const hold = () => clearTimeout(timer);
  const resume = () => {
    hold();
    timer = setTimeout(dismiss, LINGER, element);
  };
  element.addEventListener("pointerenter", hold);
  element.addEventListener("focusin", hold);
  element.addEventListener("pointerleave", resume);
  element.addEventListener("focusout", resume);
}

/** Say `text`; `kind` is info, success, warning or error (errors stay until dismissed). `action` adds one button. */
export function toast(text, { kind = "info", action } = {}) {
  const template = document.querySelector(`template[data-toast-kind="${kind}"]`);
  const element = template.content.firstElementChild.cloneNode(true);
  element.querySelector(".toast__text").textContent = text;
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button--quiet button--small";
    button.textContent = action.label;
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

// A live region announces what is put into it after it exists: take the server's notices out and put them back.
for (const element of document.querySelectorAll("[data-toasts] > .toast")) {
  element.remove();
  requestAnimationFrame(() => {
    region().append(element);
    start(element);
  });
}
