// The answers that a clarifying question offers: tapping one sends it, once, without leaving the page.

export function startClarifying(chat, post) {
  chat.addEventListener("submit", async (event) => {
    const form = event.target.closest("[data-clarify]");
    if (!form) return;
    event.preventDefault();
    if ("sending" in form.dataset) return;
    form.dataset.sending = "";
    const fields = Object.fromEntries(new FormData(form, event.submitter));
    const wasSent = await post(form.action, fields, { pendingText: fields.content });
    delete form.dataset.sending;
    if (wasSent) chat.querySelector("[data-scroll]").focus({ preventScroll: true });
  });
}
