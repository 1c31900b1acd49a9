"""Serves OpenVINO GenAI over HTTP for the benchmark, in an environment of its own: nothing but openvino_genai is there.

Arguments: MODEL PORT THREADS SLOTS.
"""

from __future__ import annotations

import itertools
import json
import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openvino_genai  # type: ignore[import-not-found,unused-ignore]

CACHE_GIGABYTES = 2


class Engine:
    """The pipeline and the one thread that steps it."""

    def __init__(self, model: str, threads: int, slots: int) -> None:
        scheduling = openvino_genai.SchedulerConfig()
        scheduling.cache_size = CACHE_GIGABYTES
        scheduling.enable_prefix_caching = True
        scheduling.max_num_seqs = slots
        properties = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        self.pipeline = openvino_genai.ContinuousBatchingPipeline(model, scheduling, "CPU", properties)
        self.tokenizer = self.pipeline.get_tokenizer()
        self.arrivals: queue.SimpleQueue[tuple[str, int, queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        self.numbers = itertools.count()
        threading.Thread(target=self.work, daemon=True).start()

    def ask(self, messages: list[dict[str, str]], new_tokens: int) -> queue.SimpleQueue[Any]:
        """Lists of new token ids come out of the queue, then None."""
        prompt = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        out: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.arrivals.put((prompt, new_tokens, out))
        return out

    def work(self) -> None:
        active: list[tuple[Any, queue.SimpleQueue[Any]]] = []
        while True:
            while not self.arrivals.empty() or not active:
                prompt, new_tokens, out = self.arrivals.get()
                config = openvino_genai.GenerationConfig(max_new_tokens=new_tokens, ignore_eos=True, do_sample=False)
                active.append((self.pipeline.add_request(next(self.numbers), prompt, config), out))
            self.pipeline.step()
            for handle, out in active:
                while handle.can_read():
                    for piece in handle.read().values():
                        out.put(list(piece.generated_ids))
            finished = [entry for entry in active if entry[0].get_status().name not in ("RUNNING", "WAITING")]
            for entry in finished:
                entry[1].put(None)
                active.remove(entry)


class Handler(BaseHTTPRequestHandler):
    """Streamed chat completions, and /health."""

    engine: Engine

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        out = self.engine.ask(body["messages"], body["max_tokens"])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        while (ids := out.get()) is not None:
            for token in ids:
                text = self.engine.tokenizer.decode([token]) or " "
                chunk = {"choices": [{"delta": {"content": text}}]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.flush()

    def log_message(self, *_arguments: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Takes a burst of connections at once."""

    request_queue_size = 128
    daemon_threads = True


def main() -> None:
    model, port, threads, slots = sys.argv[1], *map(int, sys.argv[2:5])
    Handler.engine = Engine(model, threads, slots)
    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
