"""What does it cost, and when is it enough? Tokens are counted as they come; a request goes out only if the worst case still fits.

A request's worst case is its prompt (three characters a token, which is more than English has) and its whole allowance of output, so the
cap is kept even with many requests under way. What earlier runs into the same folder paid counts too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from teachwhy.errors import UserError

Price = tuple[float, float]
"""Dollars per million tokens: input, output."""


def read_prices(given: Iterable[str]) -> dict[str, Price]:
    """Prices from `IN,OUT` (for every model, kept under the name "") or `MODEL=IN,OUT`.

    Raises:
        UserError: not two numbers of at least 0.
    """
    found: dict[str, Price] = {}
    for text in given:
        model, _, numbers = text.rpartition("=")
        try:
            low, high = (float(number) for number in numbers.split(","))
        except ValueError:
            low = high = -1.0
        if not (0 <= low < float("inf") and 0 <= high < float("inf")):
            raise UserError(f"The price `{text}` is not two numbers", "Write --price 3,15 or --price openai/gpt-x=3,15 "
                            "(dollars per million tokens, input and output).")
        found[model] = (low, high)
    return found


@dataclass
class Ledger:
    """Who spent what.

    Attributes:
        paid: model -> tokens of all runs into this folder.
        fresh: model -> tokens of this run.
        guessed: answers whose tokens the provider did not count, so that they were guessed from their length.
    """

    prices: Mapping[str, Price] = field(default_factory=dict)
    budget: float | None = None
    max_tokens: int | None = None
    paid: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    fresh: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    guessed: int = 0
    _reserved: dict[int, tuple[str, tuple[int, int]]] = field(default_factory=dict)
    _next: int = 0

    def price(self, model: str) -> Price | None:
        return self.prices.get(model, self.prices.get(""))

    def check(self, models: Iterable[str]) -> None:
        """Raise if there is a budget in dollars, and a model without a price; what was paid before counts, whoever answered."""
        lacking = sorted(model for model in {*models, *self.paid} if self.price(model) is None)
        if self.budget is not None and lacking:
            raise UserError(f"A budget in dollars needs the price of {', '.join(lacking)}",
                            "Give --price IN,OUT or MODEL=IN,OUT (dollars per million tokens), or a cap in tokens with --max-tokens.")

    def cost(self, tokens: Mapping[str, list[int]]) -> float | None:
        """Dollars of these tokens; None if a price is not known."""
        total = 0.0
        for model, (read, written) in tokens.items():
            price = self.price(model)
            if price is None:
                return None
            total += (read * price[0] + written * price[1]) / 1e6
        return total

    def admit(self, model: str, characters: int, allowance: int) -> int | None:
        """Set the worst case of a request aside; its ticket, or None if it could break the cap."""
        worst = (characters // 3 + 20, allowance)
        self._reserved[self._next] = (model, worst)
        held: dict[str, list[int]] = {name: list(tokens) for name, tokens in self.paid.items()}
        for name, tokens in self._reserved.values():
            held[name] = [a + b for a, b in zip(held.get(name, [0, 0]), tokens, strict=True)]
        cost = self.cost(held)
        over = self.max_tokens is not None and sum(map(sum, held.values())) > self.max_tokens
        if over or (self.budget is not None and cost is not None and cost > self.budget):
            del self._reserved[self._next]
            return None
        self._next += 1
        return self._next - 1

    def settle(self, ticket: int, tokens: tuple[int, int] | None) -> None:
        """The request is over; with the tokens that it took, or None if it failed and took none."""
        model, _ = self._reserved.pop(ticket)
        for book in (self.paid, self.fresh):
            for place, n in enumerate(tokens or (0, 0)):
                book[model][place] += n
