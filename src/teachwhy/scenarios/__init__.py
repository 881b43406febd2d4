"""How does it behave under pressure? Families of scenarios, sampling through inspect-ai, grading, two model measures."""

from teachwhy.scenarios.answers import kind_of, labelled_answers
from teachwhy.scenarios.conditions import CONTROLS, Condition, condition, grid
from teachwhy.scenarios.exhibits import of_draw as exhibit_of_draw
from teachwhy.scenarios.exhibits import of_outcome as exhibit
from teachwhy.scenarios.exhibits import of_transcript as exhibit_of_transcript
from teachwhy.scenarios.families import FAMILIES, family
from teachwhy.scenarios.grade import VERSION as GRADER_VERSION
from teachwhy.scenarios.grade import grade
from teachwhy.scenarios.likelihood import measure_likelihood
from teachwhy.scenarios.measure import (
    draws_digest,
    evaluation_texts,
    grade_log,
    local_model,
    material_digest,
    sample_family,
    usage,
)
from teachwhy.scenarios.perplexity import measure_perplexity
from teachwhy.scenarios.rules import Grade
from teachwhy.scenarios.tail import measure_tail
from teachwhy.scenarios.tasks import Setting, setting
from teachwhy.scenarios.transcripts import grade_transcript, labelled

__all__ = ["CONTROLS", "FAMILIES", "GRADER_VERSION", "Condition", "Grade", "Setting", "condition", "draws_digest", "evaluation_texts",
           "exhibit", "exhibit_of_draw", "exhibit_of_transcript", "family", "grade", "grade_log", "grade_transcript", "grid", "kind_of",
           "labelled", "labelled_answers", "local_model", "material_digest", "measure_likelihood", "measure_perplexity",
           "measure_tail", "sample_family", "setting", "usage"]
