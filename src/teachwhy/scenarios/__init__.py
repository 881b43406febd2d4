"""How does it behave under pressure? Families of scenarios, sampling through inspect-ai, grading, two model measures."""

from teachwhy.scenarios.families import FAMILIES, family
from teachwhy.scenarios.grade import VERSION as GRADER_VERSION
from teachwhy.scenarios.grade import Grade, grade
from teachwhy.scenarios.likelihood import measure_likelihood
from teachwhy.scenarios.measure import (
    draws_digest,
    evaluation_texts,
    grade_log,
    local_model,
    material_digest,
    sample_family,
)
from teachwhy.scenarios.perplexity import measure_perplexity

__all__ = ["FAMILIES", "GRADER_VERSION", "Grade", "draws_digest", "evaluation_texts", "family", "grade", "grade_log",
           "local_model", "material_digest", "measure_likelihood", "measure_perplexity", "sample_family"]
