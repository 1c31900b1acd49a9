// Copy and wrap buttons for the code blocks of a reply.

import { copyText } from "../config/js/copy.js";

function tool(label, run) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "button button--quiet button--small", textContent: label });
  button.addEventListener("click", run);
  return button;
}

export function dressCode(root, chat) {
  for (const figure of root.querySelectorAll("figure.code:not([data-dressed])")) {
    figure.dataset.dressed = "";
    const tools = document.createElement("span");
    tools.className = "code__tools";
    const wrap = tool(chat.dataset.wrap, () => {
      wrap.setAttribute("aria-pressed", String(figure.classList.toggle("code--wrapped")));
    });
    wrap.setAttribute("aria-pressed", "false");
    if (!figure.dataset.language) figure.querySelector("figcaption").textContent = chat.dataset.code;
    const copy = tool(chat.dataset.copy, () => copyText(figure.querySelector("code").textContent, chat.dataset.copied));
    tools.append(wrap, copy);
    figure.querySelector("figcaption").append(tools);
  }
}
