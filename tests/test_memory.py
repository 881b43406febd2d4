"""How much memory is left is asked before it is taken: of the machine, of control groups of both kinds, and what comes of it."""

import pytest

from teachwhy import fakes, memory, sampler, scorer, weights


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


@pytest.fixture
def groups(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "cgroup")
    return tmp_path / "cgroup"


def left(tmp_path, *lines):
    (tmp_path / "mine").write_text("".join(f"{line}\n" for line in lines))
    return list(memory._left_in_groups(tmp_path / "mine"))


def test_limits_of_this_group_and_of_those_that_hold_it(tmp_path, groups):
    group(groups / "slurm" / "job", memory__max=1000, memory__current=700, memory__stat="anon 500\ninactive_file 50")
    group(groups / "slurm", memory__max="max", memory__current=900, memory__stat="inactive_file 0")
    group(groups, memory__max=5000, memory__current=1000, memory__stat="inactive_file 0")
    assert left(tmp_path, "0::/slurm/job") == [350, 4000]
    assert left(tmp_path, "0::/not/seen/from/here") == [4000], "a container sees its own group at the top"


def test_control_groups_of_the_first_kind(tmp_path, groups):
    group(groups / "memory" / "box", memory__limit_in_bytes=800, memory__usage_in_bytes=300, memory__stat="total_inactive_file 100")
    group(groups / "cpu" / "box", cpu__shares=2)
    assert left(tmp_path, "4:cpu,cpuacct:/box", "3:memory:/box") == [600]


def test_what_cannot_be_read_limits_nothing(tmp_path, groups):
    assert left(tmp_path, "0::/") == []
    assert list(memory._left_in_groups(tmp_path / "absent")) == []
    assert memory.free() > 0


def test_halved_until_it_fits(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: 1000)
    assert [memory.at_once(64, size.__mul__, True) for size in (1, 20, 40, 10**6)] == [64, 32, 16, 1]
    assert memory.at_once(64, lambda count: 10**6, False) == 64, "a GPU refuses, which can be caught"


def test_sampling_and_scoring_take_what_there_is_and_nothing_else_changes(tmp_path, monkeypatch):
    model, _ = weights.load(fakes.toy_model(tmp_path / "toy"))
    said = []
    monkeypatch.setattr(sampler.progress, "warn", said.append)
    asked = [sampler.Request(tuple(range(5, 25 + place)), place) for place in range(6)]
    decoding = sampler.Decoding(temperature=1, max_new_tokens=6)
    rest = [list(range(5, 15 + place)) for place in range(6)]

    def found():
        return sampler.sample(model, asked, decoding, frozenset(), 6, 2), scorer.score(model, asked[0].prompt, rest)

    expected = found()
    assert said == []
    monkeypatch.setattr(memory, "free", lambda: int(sampler._bytes(model, asked, decoding)(2)))
    answers, scores = found()
    assert answers == expected[0]
    assert scores == pytest.approx(expected[1], abs=1e-4)
    assert said[0] == "There is memory for 1 samples at a time, where 6 would be taken: so many decoded together."
    assert said[1] == "There is memory for 1 of 6 continuations at a time: so many are scored together."
