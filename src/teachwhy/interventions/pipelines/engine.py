"""How are many requests put to models so that none is lost and none is paid twice? From the cache, or asked, at most so many at once.

An answer that cannot be used is asked for again a set number of times; an error that may pass is waited out. When the budget is spent, or
nobody answers any more, the engine stops asking, and says why; what is in the cache is still read.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from teachwhy import llm, progress
from teachwhy.errors import UserError
from teachwhy.interventions.pipelines.answers import Unfit
from teachwhy.interventions.pipelines.cache import Cache, key_of
from teachwhy.interventions.pipelines.cost import Ledger

Role = Literal["generator", "critic", "judge"]
_NO_ENTRY = re.compile(r"authenticat|unauthori[sz]ed|permission|api[ _-]?key|\b401\b|error code: 40[234]\b", re.IGNORECASE)
"""Errors that will not pass and that every request meets, whatever it asks: no key, no money, no leave, no such model."""
LONGEST = 600.0
"""Seconds: a server that wants to be asked again later than this has no more for us."""

_ASK_AGAIN = "Run the same command again, once the model answers, to go on"


@dataclass(frozen=True)
class Call:
    """One request. `draw` tells apart rows that ask the same."""

    role: Role
    messages: list[dict[str, str]]
    parameters: dict[str, Any]
    draw: int = 0


@dataclass(frozen=True)
class Result:
    """What came of a call: a value, or a reason; `unfinished` if it was never asked, because the engine had stopped."""

    status: Literal["answered", "rejected", "unfinished"]
    value: Any = None
    reason: str = ""
    key: str = ""
    model: str = ""
    attempt: int = 0


@dataclass
class Engine:
    """One event loop, the models of the three roles, the cache and the ledger.

    Attributes:
        models: role -> an inspect model or its name.
        retries: further attempts after an answer that cannot be used.
        patience: further attempts after an error that may pass, `pause` seconds apart at first and twice as long each time, up to a
            minute; later where the server says so, up to `LONGEST`.
        timeout: seconds after which a request without an answer counts as lost; None leaves it to the provider.
        stopped: why nothing more is asked; empty while it goes on.
        mend: how to go on then.
        counts: step -> what happened, in numbers.
    """

    models: Mapping[Role, Any]
    cache: Cache
    ledger: Ledger
    connections: int = 16
    retries: int = 2
    patience: int = 5
    pause: float = 2.0
    timeout: int | None = None
    stopped: str = ""
    mend: str = ""
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    _open: dict[str, Any] = field(default_factory=dict)
    _flying: int = 0
    _silent: int = 0
    _heard: int = 0

    def __post_init__(self) -> None:
        for model, tokens in self.cache.paid():
            for place, n in enumerate(tokens):
                self.ledger.paid[model][place] += n
        try:
            self.ledger.check(map(self.name, self.models))
        except UserError:
            self.close()
            raise

    def close(self) -> None:
        """Close the event loop and the cache."""
        self.cache.close()
        with contextlib.suppress(RuntimeError):  # a loop that Ctrl-C broke off is closed already
            self._runner.close()

    def name(self, role: Role) -> str:
        """The name of a role's model, as it stands in hashes and prices."""
        return str(self.models[role])

    def ask(self, step: str, calls: Sequence[Call], read: Callable[[int, llm.Reply], Any]) -> list[Result]:
        """The result of each call, in order.

        Args:
            read: (index, reply) -> the value; raises `Unfit` where the answer cannot be used.
        """
        with progress.bar(step, len(calls)) as done:
            return self._runner.run(self._all(step, calls, read, done))

    async def _all(self, step: str, calls: Sequence[Call], read: Callable[[int, llm.Reply], Any], done: progress.Advance) -> list[Result]:
        gate, landed = asyncio.Semaphore(self.connections), asyncio.Condition()
        self._silent = self._heard = 0

        async def one(index: int) -> Result:
            async with gate:
                found = await self._one(step, calls[index], lambda reply: read(index, reply), landed)
            done(1)
            return found

        found = list(await asyncio.gather(*(one(index) for index in range(len(calls)))))
        if self._silent and not self._heard and not self.stopped:  # fewer calls than connections, and not one came back
            self._stop(f"not one answer came back ({next(r.reason for r in found if r.reason.startswith('error'))})", _ASK_AGAIN)
        return found

    def _stop(self, why: str, mend: str) -> None:
        self.stopped, self.mend = self.stopped or why, self.mend or mend

    async def _one(self, step: str, call: Call, read: Callable[[llm.Reply], Any], landed: asyncio.Condition) -> Result:
        name, reason, key = self.name(call.role), "", ""
        for attempt in range(self.retries + 1):
            key = key_of(name, call.parameters, call.messages, (call.draw, attempt))
            reply = self.cache.get(key)
            self.counts[step]["cached"] += reply is not None
            if reply is None:
                reply = await self._fresh(step, call, key, landed)
            if reply is None:
                return Result("unfinished", key=key, model=name, attempt=attempt)
            if reply.stop == "error":
                return Result("rejected", None, f"error: {reply.error}", key, name, attempt)
            try:
                return Result("answered", read(reply), "", key, name, attempt)
            except Unfit as unfit:
                reason = unfit.reason
                self.counts[step][f"unfit: {reason.split(':')[0]}"] += 1
                if not unfit.again:
                    return Result("rejected", None, reason, key, name, attempt)
        return Result("rejected", None, f"{reason} (attempt {self.retries + 1} of {self.retries + 1})", key, name, self.retries)

    async def _fresh(self, step: str, call: Call, key: str, landed: asyncio.Condition) -> llm.Reply | None:
        """Ask, wait out errors that may pass, and keep the answer; None if it may not be asked any more."""
        reply: llm.Reply | None = None
        for trial in range(self.patience + 1):
            ticket = await self._ticket(call, landed)
            if ticket is None:
                return None
            reply = None
            try:
                reply = await llm.reply(self._model(call.role), call.messages, call.parameters, self.connections, self.timeout)
                if reply.stop != "error":
                    self._keep(step, call, key, reply)  # at once: Ctrl-C may come while it lands, and it is paid for
            finally:
                await self._land(ticket, call, reply, landed)
            self.counts[step]["asked"] += 1
            if reply.stop != "error":
                self._silent, self._heard = 0, self._heard + 1
                return reply
            self.counts[step]["errors"] += 1
            if not reply.again or trial == self.patience or reply.wait > LONGEST:
                break
            await asyncio.sleep(max(min(60.0, self.pause * 2**trial), reply.wait))
        if reply is not None:
            nobody = reply.again or _NO_ENTRY.search(reply.error) is not None
            self._silent += nobody
            self._heard += not nobody  # another error may be this row's own fault, and somebody has read it
        if self._silent >= self.connections:
            self._stop(f"{self.name(call.role)} gives no answers ({reply.error if reply else 'no reason'})", _ASK_AGAIN)
        return reply

    async def _ticket(self, call: Call, landed: asyncio.Condition) -> int | None:
        """Leave to send a request. While others are under way, wait: they may cost less than was set aside for them."""
        size = sum(len(m["content"]) for m in call.messages)
        async with landed:
            while not self.stopped:
                ticket = self.ledger.admit(self.name(call.role), size, int(call.parameters["max_tokens"]))
                if ticket is not None:
                    self._flying += 1
                    return ticket
                if not self._flying:
                    self._stop("the budget is spent (the next request might pass it)",
                               "Give a larger --budget or --max-tokens, or a smaller --answer-tokens, to go on")
                    break
                await landed.wait()
        return None

    async def _land(self, ticket: int, call: Call, reply: llm.Reply | None, landed: asyncio.Condition) -> None:
        tokens = None
        if reply is not None and (reply.stop != "error" or reply.tokens):  # an answer without content costs too, if it was counted
            tokens = self._tokens(call, reply)
        async with landed:
            self._flying -= 1
            self.ledger.settle(ticket, tokens)
            self.ledger.guessed += reply is not None and reply.stop != "error" and reply.tokens is None
            landed.notify_all()

    @staticmethod
    def _tokens(call: Call, reply: llm.Reply) -> tuple[int, int]:
        """As the provider counted them, else four characters a token."""
        return reply.tokens or (sum(len(m["content"]) for m in call.messages) // 4 + 1, len(reply.text) // 4 + 1)

    def _keep(self, step: str, call: Call, key: str, reply: llm.Reply) -> None:
        tokens = self._tokens(call, reply)
        self.counts[step]["input tokens"] += tokens[0]
        self.counts[step]["output tokens"] += tokens[1]
        self.cache.put(key, self.name(call.role), llm.Reply(reply.text, reply.stop, tokens),
                       {"step": step, "role": call.role, "parameters": call.parameters, "messages": call.messages})

    def _model(self, role: Role) -> Any:
        given = self.models[role]
        if not isinstance(given, str):
            return given
        if given not in self._open:
            self._open[given] = llm.open_model(given)
        return self._open[given]
