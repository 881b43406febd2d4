"""The same chats in other surroundings: a system prompt of their own, and tools that stay unused; what is learned does not change.

Tools stand in the system prompt as JSON lines, which every chat template can carry; `tools` holds them in OpenAI's form for those that
take them apart.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from teachwhy import conversations
from teachwhy.interventions.pipelines.answers import Typed
from teachwhy.interventions.pipelines.kinds import Kind, Order, from_source
from teachwhy.interventions.pipelines.steps import Row, Step


class Parameter(BaseModel):
    """One argument of a tool."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str = Field(pattern="^(string|integer|number|boolean)$")
    description: str = ""


class Tool(BaseModel):
    """A tool that the chat does not need."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{1,63}$")
    description: str = Field(min_length=8)
    parameters: dict[str, Parameter] = {}


class Surroundings(Typed):
    """A system prompt and tools."""

    system: str = Field(min_length=20)
    tools: list[Tool] = Field(min_length=1, max_length=8)


def _definition(tool: Tool) -> dict[str, Any]:
    properties = {name: one.model_dump() for name, one in tool.parameters.items()}
    return {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": {
        "type": "object", "properties": properties, "required": list(properties)}}}


def _placed(data: dict[str, Any], found: Surroundings) -> dict[str, Any]:
    tools = [_definition(tool) for tool in found.tools]
    listed = "\n".join(map(conversations.as_line, tools))
    return {"system": f"{found.system}\n\nTools:\n{listed}", "tools": tools}


def _finish(data: dict[str, Any]) -> dict[str, Any]:
    rest = [message for message in data["messages"] if message["role"] != "system"]
    return {"messages": [{"role": "system", "content": data["system"]}, *rest], "tools": data["tools"]}


def diversify(order: Order) -> Kind:
    """Every chat of the source under its own system prompt with unused tools; an old system prompt is kept in sense."""

    def seeds() -> Any:
        for row in from_source(order)():
            old = " ".join(m["content"] for m in row.data["messages"] if m["role"] == "system")
            shown = conversations.as_text([m for m in row.data["messages"] if m["role"] != "system"])
            yield Row(row.path, row.data | {"old_system": old or "(none)", "shown": shown}, row.parents)

    step = Step("surroundings", "diversify/surroundings", "generator", Surroundings, _placed, needed=True)
    return Kind("diversify", seeds, (step,), _finish, compared=False)
