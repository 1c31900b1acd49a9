// The settings of a conversation: kept by script; before the first message they go with it.

import { request } from "../config/js/request.js";
import { toast } from "../config/js/toast.js";

export function startSettings(chat) {
  const form = document.querySelector("[data-settings]");

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const dialog = form.closest("dialog");
    if (!chat.dataset.conversation) {
      if ([...composerFields()].every((field) => field.reportValidity())) dialog.close();
      return;
    }
    try {
      const answer = await request(form.action, { form: new FormData(form), headers: { "X-Requested-With": "fetch" } });
      toast((await answer.json()).text, { kind: "success" });
      dialog.close();
    } catch (failure) {
      toast(failure.message, { kind: "error" });
    }
  });

  document.addEventListener("parley:asks-first", () => {
    form.elements.asks_first.value = "yes";
  });

  const composerFields = () => form.querySelectorAll('[form="composer"]');
  chat.addEventListener("parley:opened", ({ detail }) => {
    form.action = detail.settings_url;
    for (const field of composerFields()) field.setAttribute("form", form.id);
  });
}
