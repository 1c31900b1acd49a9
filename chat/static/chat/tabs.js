// The same conversation in several tabs: what one does, the others show. A tab that slept looks again.

const STALE_AFTER = 30_000;

export function shareWithTabs(chat, thread) {
  const channel = "BroadcastChannel" in window ? new BroadcastChannel("parley:chat") : null;
  let hiddenSince = null;

  const reload = () => {
    const isUntouched = !chat.querySelector("[data-editor]") && !chat.querySelector("[data-thread]").matches(":focus-within");
    if (isUntouched && !thread.isPart() && chat.dataset.conversation) thread.load(location.pathname);
  };
  channel?.addEventListener("message", ({ data }) => {
    if (data.conversation === chat.dataset.conversation) reload();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiddenSince = Date.now();
    else if (hiddenSince && Date.now() - hiddenSince > STALE_AFTER) reload();
  });
  return { tell: (conversation) => channel?.postMessage({ conversation }) };
}
