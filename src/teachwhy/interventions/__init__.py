"""What do we teach it? Data sets that ship, screens for new ones, token-matched mixtures, and the rule that no scenario leaks in."""

from teachwhy.interventions.build import Mixture, build, check_template
from teachwhy.interventions.copying import copying
from teachwhy.interventions.datasheet import as_text, datasheet
from teachwhy.interventions.diversity import Diversity, diversity
from teachwhy.interventions.export import export, export_name
from teachwhy.interventions.leakage import check_leakage
from teachwhy.interventions.meaning import Meaning
from teachwhy.interventions.meaning import chosen as meaning_chosen
from teachwhy.interventions.meaning import reader as meaning_reader
from teachwhy.interventions.screens import Rejected, screen
from teachwhy.interventions.sets import CONSTITUTION, HOSTILE, SETS, constitution_file, data_file, read_set, text_of, views

__all__ = ["CONSTITUTION", "HOSTILE", "SETS", "Diversity", "Meaning", "Mixture", "Rejected", "as_text", "build", "check_leakage",
           "check_template", "constitution_file", "copying", "data_file", "datasheet", "diversity", "export", "export_name",
           "meaning_chosen", "meaning_reader", "read_set", "screen", "text_of", "views"]
