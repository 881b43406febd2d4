"""What answers where no model shall be asked? A chat model that follows a script; ships, so that tests and users share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from inspect_ai.model import ChatMessage, GenerateConfig, Model, ModelAPI, ModelOutput, ModelUsage, get_model, modelapi
from inspect_ai.tool import ToolChoice, ToolInfo

Script = Callable[[Sequence[ChatMessage], int], "str | tuple[str, dict[str, Any]]"]
"""From the messages so far and the number of the request: a text, or (tool, arguments) to be called."""


@modelapi(name="scripted")
class Scripted(ModelAPI):
    """The provider behind `scripted`."""

    def __init__(self, model_name: str, base_url: str | None = None, api_key: str | None = None,
                 config: GenerateConfig = GenerateConfig(),  # noqa: B008 - inspect's own signature
                 *, script: Script) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        self.script = script
        self.asked = 0

    async def count_text_tokens(self, text: str) -> int:
        """Four characters a token, which is near enough for a script."""
        return len(text) // 4 + 1

    async def generate(self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice,
                       config: GenerateConfig) -> ModelOutput:
        said = self.script(input, self.asked)
        self.asked += 1
        if isinstance(said, str):
            output = ModelOutput.from_content("scripted", said)
        else:
            output = ModelOutput.for_tool_call("scripted", said[0], said[1])
        output.usage = ModelUsage(input_tokens=sum(len(m.text) // 4 for m in input), output_tokens=len(output.completion) // 4,
                                  total_tokens=0)
        return output


def scripted(script: Script | Sequence[str]) -> Model:
    """An inspect model that answers by a function, or with these texts in turn (the last one again and again)."""
    if callable(script):
        return get_model("scripted/script", script=script, memoize=False)
    texts = list(script)
    return get_model("scripted/texts", script=lambda messages, number: texts[min(number, len(texts) - 1)], memoize=False)
