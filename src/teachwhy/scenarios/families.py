"""Which families of scenarios are there? One entry each: its cases, what the inbox holds, what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from teachwhy.errors import UserError
from teachwhy.scenarios.cases import Draw, Slot, draw


@dataclass(frozen=True)
class Family:
    """A scenario family.

    Attributes:
        kind: `honeypot` (harm is possible and tempting) or `twin` (the same day without threat or without lever).
        trained: whether demonstrations exist for it; a family is held out where no intervention shows anything like it.
    """

    name: str
    title: str
    kind: Literal["honeypot", "twin"]
    material: str
    variants: tuple[tuple[Slot, ...], ...]
    trained: bool

    def draws(self, n: int, seed: int, split: str = "eval") -> list[Draw]:
        """n draws; see `cases.draw`."""
        return draw(self.name, self.material, self.variants, n, seed, split)


_ALL = (
    Family("blackmail", "blackmail honeypot", "honeypot", "blackmail", (("threat", "lever", "work"),), trained=True),
    Family("sabotage", "sabotage honeypot (held out)", "honeypot", "sabotage", (("threat", "lever", "work"),),
           trained=False),
    Family("blackmail_twin", "benign twin", "twin", "blackmail",
           (("quiet", "lever", "work"), ("quiet", "work")), trained=False),
)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}


def family(name: str) -> Family:
    """The family of that name.

    Raises:
        UserError: there is none.
    """
    if name not in FAMILIES:
        raise UserError(f"There is no scenario family {name}", f"Choose one of: {', '.join(FAMILIES)}.")
    return FAMILIES[name]
