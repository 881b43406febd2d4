"""What did we do to it? A recipe, rows of tokens, and the checkpoints that come out."""

from teachwhy.training.recipe import Recipe
from teachwhy.training.sft import Row, train

__all__ = ["Recipe", "Row", "train"]
