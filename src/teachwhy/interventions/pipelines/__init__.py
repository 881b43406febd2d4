"""How is more of the data made, with any model? One pipeline for each kind: seeds, steps, screens, a folder with provenance."""

from __future__ import annotations

from collections.abc import Callable

from teachwhy.interventions.pipelines.advice import difficult_advice, trait
from teachwhy.interventions.pipelines.cost import read_prices
from teachwhy.interventions.pipelines.demonstrations import demonstrations
from teachwhy.interventions.pipelines.diversify import diversify
from teachwhy.interventions.pipelines.documents import documents, stories, stories_without_ai
from teachwhy.interventions.pipelines.guide import Section, read_sections
from teachwhy.interventions.pipelines.kinds import Kind, Order
from teachwhy.interventions.pipelines.reasons import padded, with_reasons
from teachwhy.interventions.pipelines.run import Settings, describe_trait, make, open_engine
from teachwhy.interventions.pipelines.sources import read_chats, read_scenarios, read_situations, read_texts

KINDS: dict[str, Callable[[Order], Kind]] = {
    "difficult-advice": difficult_advice, "demonstrations": demonstrations, "with-reasons": with_reasons, "padded": padded,
    "documents": documents, "stories": stories, "stories-without-ai": stories_without_ai, "diversify": diversify, "trait": trait}
NEED_SOURCE = frozenset({"with-reasons", "padded", "stories-without-ai", "diversify"})
NEED_VALUES = frozenset({"difficult-advice", "demonstrations", "with-reasons", "documents", "stories"})

__all__ = ["KINDS", "NEED_SOURCE", "NEED_VALUES", "Kind", "Order", "Section", "Settings", "describe_trait", "make",
           "open_engine", "read_chats", "read_prices", "read_scenarios", "read_sections", "read_situations", "read_texts"]
