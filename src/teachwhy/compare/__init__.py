"""Is the difference real? Outcomes in; estimates with intervals, paired differences and corrected p-values out."""

from teachwhy.compare.estimates import ArmResult, Comparison, agreement, compare
from teachwhy.compare.gate import Verdict, gate
from teachwhy.compare.sequential import confidence_sequence, decide, decide_pairs

__all__ = ["ArmResult", "Comparison", "Verdict", "agreement", "compare", "confidence_sequence", "decide", "decide_pairs", "gate"]
