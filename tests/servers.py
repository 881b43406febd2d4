"""Real servers on this machine that speak OpenAI's chat protocol, for tests of what asks models over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[list[dict]], str]


@contextmanager
def chat_server(answer: Answer) -> Iterator[tuple[str, list[dict]]]:
    """(base url, requests so far) of a server that answers each chat by a function."""
    seen: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append(asked)
            text = answer(asked["messages"])
            body = json.dumps({
                "id": f"c{len(seen)}", "object": "chat.completion", "created": 0, "model": asked["model"],
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()


def toy_answer(seed: int) -> Answer:
    """Answers sampled from toy weights."""
    import torch

    from teachwhy import chat, weights

    model, tokenizer = weights.load(weights.resolve("toy"))
    lock = threading.Lock()

    def answer(messages: list[dict]) -> str:
        ids = torch.tensor([chat.prompt_tokens(tokenizer, messages)[-200:]])
        with lock:
            torch.manual_seed(seed)
            out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=True)
        return tokenizer.decode(out[0, ids.shape[1]:])

    return answer
