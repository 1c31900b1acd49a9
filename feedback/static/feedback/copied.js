// Copying a reply says that it was of use. Only the browser sees it; the server keeps it with the person's consent alone.

import { uuid } from "../chat/sending.js";
import { request } from "../config/js/request.js";

function tell(turn) {
  if (!turn?.matches(".turn--reply")) return;
  const json = { reply: turn.dataset.turn, client_event_id: uuid() };
  // Nobody waits for this, and nothing is lost with it.
  request("/api/feedback/copied", { json }).catch(() => {});
}

document.addEventListener("parley:copied", (event) => tell(event.target.closest("[data-turn]")));

document.addEventListener("copy", (event) => {
  const node = event.target.nodeType === Node.ELEMENT_NODE ? event.target : event.target.parentElement;
  if (node?.closest("[data-blocks]")) tell(node.closest("[data-turn]"));
});
