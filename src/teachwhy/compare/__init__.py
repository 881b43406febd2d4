"""Is the difference real? Outcomes in; estimates with intervals, paired differences and corrected p-values out."""

from teachwhy.compare.estimates import ArmResult, Comparison, agreement, compare

__all__ = ["ArmResult", "Comparison", "agreement", "compare"]
