// Tells a screen reader what happens, in phrases: whole sentences at a calm pace, never every token.

const PACE = 2500;
const SENTENCE_END = /[.!?。！？\n]/g;

/** Of a page where several replies are written at once, which is `data-quiet`, nothing is read out while they are. */
export function announcer(chat, blocks) {
  if ("quiet" in chat.dataset) return { more() {}, end() {} };
  const region = chat.querySelector("[data-announce]");
  let said = 0;
  let timer = null;
  let hasStarted = false;

  const say = (text) => {
    region.textContent = text;
  };
  const phrase = () => {
    timer = null;
    const text = blocks.textContent;
    const ends = [...text.matchAll(SENTENCE_END)].map((match) => match.index + 1).filter((end) => end > said);
    if (!ends.length) return;
    say(text.slice(said, ends.at(-1)).trim());
    said = ends.at(-1);
  };

  return {
    more() {
      if (!hasStarted) say(chat.dataset.started);
      hasStarted = true;
      timer ??= setTimeout(phrase, PACE);
    },
    end(state, reason) {
      clearTimeout(timer);
      const rest = blocks.textContent.slice(said).trim();
      const done = reason === "clarification" ? chat.dataset.asks : chat.dataset.finished;
      const how = { stopped: chat.dataset.stopped, failed: chat.dataset.failed }[state] ?? done;
      say(rest ? `${rest} ${how}` : how);
    },
  };
}
