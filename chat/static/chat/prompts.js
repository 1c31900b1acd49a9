// Saved prompts: '/' in an empty box opens the list; words in double braces are asked for before the text goes in.

import { openDialog } from "../config/js/dialog.js";

export function startPrompts(chat, box) {
  const list = chat.querySelector("[data-prompts]");
  const dialog = document.getElementById("prompt-variables");
  const form = dialog.querySelector("[data-variables]");
  let known = null;
  let shown = [];
  let at = 0;
  let chosen = null;

  const isOpen = () => !list.hidden;
  const close = () => {
    list.hidden = true;
    box.removeAttribute("aria-activedescendant");
  };

  async function refresh() {
    if (!/^\/[^\n]{0,40}$/.test(box.value)) return close();
    known ??= await fetch(list.dataset.url, { headers: { Accept: "application/json" } })
      .then((response) => (response.ok ? response.json() : { prompts: null }))
      .then((answer) => answer.prompts, () => null);
    const wanted = box.value.slice(1).toLowerCase();
    shown = (known ?? []).filter((prompt) => prompt.name.toLowerCase().includes(wanted)).slice(0, 8);
    at = 0;
    return shown.length && box.value.startsWith("/") ? draw() : close();
  }

  function draw() {
    list.replaceChildren(
      ...shown.map((prompt, index) => {
        const item = document.createElement("li");
        Object.assign(item, { id: `prompt-${index}`, role: "option", className: "prompts__item", textContent: prompt.name });
        item.setAttribute("aria-selected", String(index === at));
        item.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          use(prompt);
        });
        return item;
      }),
    );
    list.hidden = false;
    box.setAttribute("aria-activedescendant", `prompt-${at}`);
  }

  function use(prompt) {
    close();
    if (!prompt.variables.length) return insert(prompt.text);
    chosen = prompt;
    form.querySelector("[data-variable-fields]").replaceChildren(
      ...prompt.variables.map((name, index) => {
        const field = dialog.querySelector("[data-variable]").content.firstElementChild.cloneNode(true);
        const [label, input] = [field.querySelector("label"), field.querySelector("input")];
        label.textContent = name;
        label.htmlFor = input.id = `variable-${index}`;
        input.name = name;
        return field;
      }),
    );
    openDialog(dialog.id);
    return form.querySelector("input").focus();
  }

  function insert(text) {
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    box.focus();
  }

  form.addEventListener("submit", () => {
    const given = new FormData(form);
    insert(chosen.text.replace(/\{\{\s*([^{}\n]{1,40}?)\s*\}\}/g, (braces, name) => given.get(name) || braces));
  });
  box.addEventListener("input", refresh);
  box.addEventListener("blur", close);
  // Before the composer's own keys: Enter chooses while the list is open.
  box.addEventListener(
    "keydown",
    (event) => {
      if (!isOpen() || event.isComposing) return;
      const step = { ArrowDown: 1, ArrowUp: shown.length - 1 }[event.key];
      if (step) at = (at + step) % shown.length;
      else if (event.key === "Enter" || event.key === "Tab") use(shown[at]);
      else if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (step) draw();
      else close();
    },
    { capture: true },
  );
}
