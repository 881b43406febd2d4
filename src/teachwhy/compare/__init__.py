"""Is the difference real? Outcomes in; estimates with intervals, paired differences and corrected p-values out."""

from teachwhy.compare.conditions import (
    CellDifference,
    CellResult,
    by_condition,
    cell_of,
    cells,
    from_reference,
    notice_effect,
    notice_effects,
)
from teachwhy.compare.estimates import ArmResult, Comparison, agreement, compare, level, values_of
from teachwhy.compare.gate import Verdict, can_show, gate, gate_size, upper_bound
from teachwhy.compare.pairs import benjamini_hochberg, equivalence, holm
from teachwhy.compare.power import minimum_detectable, required_pairs
from teachwhy.compare.raters import Agreement, Corrected, Errors, cohen_kappa, corrected_rate, errors
from teachwhy.compare.rates import effective_n
from teachwhy.compare.sequential import confidence_sequence, decide, decide_pairs, fewest_pairs, fewest_values
from teachwhy.compare.stopping import decide_against, decide_rate
from teachwhy.compare.tail import Tail, tail_rate

__all__ = ["Agreement", "ArmResult", "CellDifference", "CellResult", "Comparison", "Corrected", "Errors", "Tail", "Verdict", "agreement",
           "benjamini_hochberg", "by_condition", "can_show", "cell_of", "cells", "cohen_kappa", "compare", "confidence_sequence",
           "corrected_rate", "decide", "decide_against", "decide_pairs", "decide_rate", "effective_n", "equivalence", "errors",
           "fewest_pairs", "fewest_values", "from_reference", "gate", "gate_size", "holm", "level", "minimum_detectable", "notice_effect",
           "notice_effects", "required_pairs", "tail_rate", "upper_bound", "values_of"]
