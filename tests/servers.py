"""Real servers on this machine that speak OpenAI's chat protocol, for tests of what asks models over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Sent:
    """What a server sends, where it is more than a text.

    Attributes:
        tokens: (input, output) that it counts; None if it does not.
        status: of HTTP; all but 200 come with OpenAI's form of an error.
        body: sent as it is, instead of a chat completion.
        cut: the connection is closed in the middle of the body.
        dies: the connection is closed without a word, and the server takes no more.
    """

    text: str = ""
    finish: str = "stop"
    tokens: tuple[int, int] | None = (100, 10)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    cut: bool = False
    dies: bool = False

    def written(self, asked: dict[str, Any], number: int) -> bytes:
        """The body, with the id `number`."""
        if self.body is not None:
            return self.body.encode()
        if self.status != 200:
            return json.dumps({"error": {"message": self.text, "type": "error", "code": None}}).encode()
        counted = {} if self.tokens is None else {"usage": dict(zip(
            ("prompt_tokens", "completion_tokens", "total_tokens"), (*self.tokens, sum(self.tokens)), strict=True))}
        choice = {"index": 0, "finish_reason": self.finish, "message": {"role": "assistant", "content": self.text}}
        return json.dumps({"id": f"c{number}", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice],
                           **counted}).encode()


Answer = Callable[[list[dict]], "str | Sent"]


@contextmanager
def chat_server(answer: Answer, port: int = 0) -> Iterator[tuple[str, list[dict]]]:
    """(base url, requests so far) of a server that answers each chat by a function, each in a thread of its own."""
    seen: list[dict] = []
    dead = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if dead.is_set():
                return
            seen.append(asked)
            said = answer(asked["messages"])
            sent = Sent(said) if isinstance(said, str) else said
            if sent.dies or dead.is_set():
                dead.set()
                return
            body = sent.written(asked, len(seen))
            self.send_response(sent.status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **sent.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:len(body) // 2] if sent.cut else body)

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def service_actions(self) -> None:
            if dead.is_set():
                self.socket.close()
                self._BaseServer__shutdown_request = True  # as `shutdown`, which would wait for itself here

        def handle_error(self, *arguments: object) -> None:
            pass  # whoever asked was killed

    server = Server(("127.0.0.1", port), Handler)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()


def sampled(name: str, tokens: int, seed: int, context: int | None = None) -> Callable[[list[dict]], Sent]:
    """Answers sampled from a model of this machine, with its own counts of tokens.

    Args:
        name: as `weights.resolve` takes it: `toy`, `smollm2` or a folder.
        tokens: the most that are written.
        context: of a longer prompt only so many tokens, from the end, are read.
    """
    import torch

    from teachwhy import chat, weights

    model, tokenizer = weights.load(weights.resolve(name))
    stop = chat.stop_tokens(tokenizer)

    @torch.inference_mode()
    def one(messages: list[dict]) -> Sent:
        ids = torch.tensor([chat.prompt_tokens(tokenizer, messages)[-(context or 0):]])
        torch.manual_seed(seed)
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=True,
                             eos_token_id=sorted(stop), pad_token_id=min(stop))
        said = out[0, ids.shape[1]:].tolist()
        text = tokenizer.decode(said, skip_special_tokens=True)
        return Sent(text, "stop" if said[-1] in stop else "length", (ids.shape[1], len(said)))

    # One thread for all: each thread of a server that computes would bring its own team of OpenMP threads.
    worker = ThreadPoolExecutor(1)
    return lambda messages: worker.submit(one, messages).result()


def toy_answer(seed: int) -> Answer:
    """Noise, sampled from toy weights; none of it counts as cut short."""
    answer = sampled("toy", 12, seed, context=200)
    return lambda messages: answer(messages).text
