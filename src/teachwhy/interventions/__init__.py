"""What do we teach it? Data sets that ship, token-matched mixtures of them, and the rule that no scenario leaks in."""

from teachwhy.interventions.build import Mixture, build
from teachwhy.interventions.copying import copying
from teachwhy.interventions.leakage import check_leakage
from teachwhy.interventions.sets import HOSTILE, SETS, data_file, read_set, text_of

__all__ = ["HOSTILE", "SETS", "Mixture", "build", "check_leakage", "copying", "data_file", "read_set", "text_of"]
