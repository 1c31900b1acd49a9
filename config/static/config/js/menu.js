// Popover menus: the browser opens, closes and dismisses them; this adds arrow keys, and a place to stand in browsers
// that cannot anchor a popover to its button.

const items = (menu) => [...menu.querySelectorAll(".menu__item:not(:disabled)")];

function place(menu, button) {
  const anchor = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const below = anchor.bottom + height < innerHeight || anchor.top < height;
  menu.style.top = `${below ? anchor.bottom : anchor.top - height - 8}px`;
  menu.style.left = `${Math.max(8, Math.min(anchor.right - width, innerWidth - width - 8))}px`;
}

document.addEventListener(
  "toggle",
  (event) => {
    const menu = event.target;
    if (!menu.matches?.(".menu") || event.newState !== "open") return;
    const button = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
    if (button && !CSS.supports("position-area: bottom")) place(menu, button);
    if (button?.matches(":focus-visible")) items(menu)[0]?.focus();
  },
  true,
);

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(".menu");
  if (!menu) return;
  const all = items(menu);
  const at = all.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (next === undefined || all.length === 0) return;
  event.preventDefault();
  all.at(next % all.length).focus();
});

document.addEventListener("click", (event) => {
  const item = event.target.closest(".menu__item");
  if (item) item.closest(".menu")?.hidePopover();
});

// Signing out leaves no unsent words behind; over https the server's answer says so as well (Clear-Site-Data).
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[action$='/accounts/logout/']")) return;
  for (const key of Object.keys(localStorage)) if (key.startsWith("draft:")) localStorage.removeItem(key);
});
