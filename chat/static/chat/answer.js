// Server-sent events in the answer of a POST, which the browser's `EventSource` cannot ask for.
// The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

/** Yields a `MessageEvent` for each event until the answer ends. Throws when it breaks off. */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let unread = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (unread + value).split("\n\n");
      unread = parts.pop();
      for (const part of parts) {
        const { event, id, data } = fieldsOf(part);
        if (data) yield new MessageEvent(event, { lastEventId: id, data });
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function fieldsOf(part) {
  return Object.fromEntries(
    part.split("\n").map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
  );
}

/** The rest of such events with the face of an `EventSource` that does not reconnect. */
export class AnswerSource extends EventTarget {
  readyState = EventSource.OPEN;
  #events;

  constructor(events) {
    super();
    this.#events = events;
    this.#read();
  }

  async #read() {
    try {
      for await (const event of this.#events) {
        if (this.readyState === EventSource.CLOSED) return;
        this.dispatchEvent(event);
      }
    } catch {
      // A lost network ends it like any other end.
    }
    if (this.readyState === EventSource.CLOSED) return;
    this.close();
    this.dispatchEvent(new Event("error"));
  }

  close() {
    this.readyState = EventSource.CLOSED;
    this.#events.return();
  }
}
