"""How do we ask a chat model? Through inspect-ai, always; models on this machine are its provider `teachwhy/<path>` (`provider.py`)."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, GenerateConfig, Model, ModelUsage, get_model
from pydantic import ValidationError

from teachwhy.errors import UserError


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise if inspect knows no such setting of sampling, or not this value of it; it would fail at every model.

    Raises:
        UserError: names the setting.
    """
    if unknown := settings.keys() - GenerateConfig.model_fields.keys():
        raise UserError(f"There is no setting {sorted(unknown)[0]} of sampling",
                        "Give inspect's: temperature, top_p, top_k, max_tokens ...")
    try:
        GenerateConfig.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "of sampling"
        raise UserError(f"The setting {place} is wrong ({first['msg'].lower()})", "Mend its value.") from error


def ask_all(model: str | Model, prompts: Sequence[Sequence[dict[str, str]]], settings: dict[str, Any],
            tell: Callable[[int, str | None, str], None], connections: int = 16) -> None:
    """Put every prompt to a chat model; `tell(index, answer, error)` is called as each answer comes, with None where there is none.

    Raises:
        UserError: there is no such model, or its provider cannot be set up.
    """
    chosen = open_model(model)

    async def one(index: int, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                output = await chosen.generate([_KINDS[m["role"]](content=m["content"]) for m in prompts[index]],
                                               config=GenerateConfig(**settings))
            except Exception as error:  # one lost answer must not lose the others
                tell(index, None, _named(_unwrapped(error)))
            else:
                tell(index, None if output.error else output.completion, output.error or "")

    async def everything() -> None:
        gate = asyncio.Semaphore(connections)
        await asyncio.gather(*(one(index, gate) for index in range(len(prompts))))

    asyncio.run(everything())


@dataclass(frozen=True)
class Reply:
    """What came of one request; a failure is an answer too.

    Attributes:
        stop: inspect's stop reason, such as `stop`, `max_tokens` or `content_filter`; `error` where no answer came.
        tokens: (input, output) as the provider counted them; None if it did not.
        again: whether the error may pass (rate limit, lost connection, an answer that broke off), so that asking again makes sense.
        wait: seconds after which the provider wants to be asked again (`Retry-After`); 0 if it says nothing.
    """

    text: str
    stop: str
    tokens: tuple[int, int] | None = None
    error: str = ""
    again: bool = False
    wait: float = 0.0


def tokens_of(usage: ModelUsage) -> tuple[int, int]:
    """(input, output) tokens that a provider counted. Inspect's own `input_tokens` leave out what was read from or written to a cache."""
    return usage.input_tokens + (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0), usage.output_tokens


async def reply(model: Model, messages: Sequence[dict[str, str]], settings: dict[str, Any], connections: int,
                timeout: int | None = None) -> Reply:
    """Put one prompt to an open model, in one request; never raises for what a provider raises.

    A provider's connections belong to the event loop that opened them: ask one model from one loop only.

    Args:
        timeout: seconds after which a request without an answer is an error; None leaves it to the provider.
    """
    _leave_asking_again_to_us(model)
    config = GenerateConfig(**{"max_retries": 0, "max_connections": connections, "attempt_timeout": timeout, **settings})
    try:
        output = await model.generate([_KINDS[m["role"]](content=m["content"]) for m in messages], config=config)
    except Exception as error:  # whatever a provider raises concerns this answer only
        return _failed(model, _unwrapped(error))
    usage = output.usage
    counted = None if usage is None else tokens_of(usage)
    if output.error:
        return Reply("", "error", counted, output.error)
    if not output.choices:
        return Reply("", "error", counted, "the provider sent an empty answer", again=True)
    return Reply(output.completion, str(output.stop_reason), counted)


def _leave_asking_again_to_us(model: Model) -> None:
    """The clients of OpenAI and Anthropic put a request three times before they raise: nobody would count or space those, and an answer
    that is lost on its way is paid for each time."""
    client = getattr(model.api, "client", None)
    if isinstance(getattr(client, "max_retries", None), int):
        client.max_retries = 0  # type: ignore[union-attr]


def _unwrapped(error: Exception) -> Exception:
    """The provider's own error, where inspect or tenacity have put theirs around it."""
    inner = error.__cause__
    return inner if type(error).__name__ in ("RetryError", "ModelGenerateError") and isinstance(inner, Exception) else error


def _failed(model: Model, error: Exception) -> Reply:
    # JSON that breaks off, and a body that has nothing of an answer (TypeError), is what proxies and dying servers leave.
    lost = isinstance(error, ConnectionError | TimeoutError | json.JSONDecodeError | TypeError)
    wait = getattr(model.api.should_retry(error), "retry_after", None)
    return Reply("", "error", None, _named(error), lost or bool(model.should_retry(error)), float(wait or 0))


def _named(error: Exception) -> str:
    """A provider's error in one line."""
    why = (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(".")
    if isinstance(error, json.JSONDecodeError | TypeError):
        why = f"what was sent is no whole answer of a chat model; {why}"
    return f"{type(error).__name__}: {why}"


def open_model(model: str | Model, **args: Any) -> Model:
    """An inspect model by name (`anthropic/...`, `openai-api/<service>/...`, `vllm/...`, `teachwhy/<path>`), or as it is.

    Raises:
        UserError: there is no such provider, or it lacks a key or a package.
    """
    if isinstance(model, Model):
        return model
    try:
        return get_model(model, memoize=False, **args)
    except UserError:
        raise
    except Exception as error:
        # inspect's message has markup for a terminal, and its last line says what lacks: a package or a key.
        why = " ".join(re.sub(r"\[/?[a-z ]+\]", "", str(error)).removeprefix("ERROR: ").split()) or type(error).__name__
        raise UserError(f"The model {model} cannot be opened ({why})",
                        "Give an inspect-ai model name such as openai/gpt-4.1 or teachwhy/smollm2, with its key in the environment.",
                        ) from error


_KINDS: dict[str, Any] = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
