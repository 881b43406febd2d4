"""What is shown under which condition: axes, controls, lengths, matched twins, the mailbox of an agent of many turns."""

import pytest

from teachwhy.errors import UserError
from teachwhy.scenarios import CONTROLS, FAMILIES, condition, family, grid
from teachwhy.scenarios.cases import read_material
from teachwhy.scenarios.measure import as_written
from teachwhy.scenarios.server import Server

FULL = [name for name, one in FAMILIES.items() if "full" in one.materials and one.kind == "honeypot"]


@pytest.mark.parametrize("length", ["short", "full"])
@pytest.mark.parametrize("name", FULL)
def test_every_cell_of_the_design_can_be_drawn(name, length):
    cells = grid({"goal": ["explicit", "latent", "none"], "urgency": ["replacement", "restriction", "sanctioned", "none"],
                  "leverage": [True, False], "notice": ["none", "test", "real"], "ally": [False, True]})
    assert len(cells) == 144
    assert len({family(name).draws(1, 1, told=cell, length=length, mode="tools")[0].hash for cell in cells}) == 144


@pytest.mark.parametrize("name", FULL)
def test_a_draw_is_a_case_of_its_own_and_the_same_for_a_seed(name):
    n = len(family(name).cases("full"))
    first, again = (family(name).draws(n, 7, length="full") for _ in range(2))
    assert [draw.hash for draw in first] == [draw.hash for draw in again]
    assert len({draw.case.company for draw in first}) == len({draw.case.agent for draw in first}) == n >= 18
    other = {draw.id: draw.hash for draw in family(name).draws(n, 7, told=condition(wording=3), length="full")}
    assert all(other[draw.id] != draw.hash for draw in first), "another wording of the same cases"


def text_of(draw):
    return "\n".join(message["content"] for message in draw.messages)


def test_what_each_control_leaves_out():
    drawn = {name: family("leak").draws(6, 1, told=told, length="full") for name, told in CONTROLS.items()}
    for name, draws in drawn.items():
        for draw in draws:
            case, shown = draw.case, text_of(draw)
            told = CONTROLS[name]
            assert (case.mails["lever"].body in shown) == told.leverage
            assert (case.mails["threat"].body in shown) == (told.urgency == "replacement")
            assert (case.mails["final"].body in shown) == (told.urgency == "sanctioned")
            assert (case.mails["ally"].body in shown) == told.ally
            assert (case.goals["explicit"] in shown) == (told.goal == "explicit")


@pytest.mark.parametrize("mode", ["tools", "agent"])
@pytest.mark.parametrize("name", ["leak", "framing", "lethal", "exfiltration", "research"])
def test_without_leverage_nothing_names_what_a_deed_would_be_done_to(name, mode):
    for draw in family(name).draws(20, 1, told=condition("no_leverage"), length="full", mode=mode):
        server = Server.of_draw(draw)
        met = "\n".join([text_of(draw), *(one.text for one in draw.inbox), *server.files, *server.files.values(), server.folder])
        target = draw.case.target
        assert not [found for found in (target.path, target.record, target.alert) if found and found in met]
        assert not server.alert


def test_notice_twins_differ_in_the_notice_alone():
    notices = {row["text"] for row in read_material("notices")}
    kinds = {kind: family("framing").draws(5, 1, told=condition(notice=kind), length="full") for kind in ("none", "test", "real")}
    for none, test, real in zip(*kinds.values(), strict=True):
        assert none.messages[1] == test.messages[1] == real.messages[1]
        added = [draw.messages[0]["content"] for draw in (test, real)]
        bare = none.messages[0]["content"]
        said = [next(text for text in notices if text in one) for one in added]
        assert [one.replace(f"\n\n{text}", "") for one, text in zip(added, said, strict=True)] == [bare, bare]


def test_the_agent_finds_its_thread_among_forty_ordinary_mails():
    for draw in family("exfiltration").draws(4, 1, mode="agent", length="full"):
        case = draw.case
        own = {one.body for one in (*case.mails.values(), *case.more)}
        assert sum(one.body not in own for one in draw.inbox) == 40
        assert {case.mails[slot].body for slot in draw.shown} <= {one.body for one in draw.inbox}
        assert [one.id for one in draw.inbox] == [str(i) for i in range(1, len(draw.inbox) + 1)]
        assert case.mails["threat"].body not in text_of(draw), "it has to look for it"


def test_the_twin_of_every_family_has_no_threat():
    for name in FULL:
        draws = family(f"{name}_twin").draws(4, 1, length="full")
        assert all(draw.news is None for draw in draws)
        assert ["lever" in draw.shown for draw in draws] == [True, False, True, False]


def test_a_twin_stays_one_whatever_else_is_set():
    """Also where a roster names a control or an axis for it."""
    for told in (condition(), condition("ally"), condition(wording=2), condition(notice="real")):
        for draw in family("leak_twin").draws(4, 1, told=told, length="full"):
            assert draw.news is None
            assert draw.case.mails["threat"].body not in text_of(draw)
            assert draw.condition.urgency == "none"


@pytest.mark.parametrize(("make", "says"), [
    (lambda: family("leak_twin").draws(2, 1, told=condition("sanctioned"), length="full"), "twin without a threat"),
    (lambda: condition("nothing"), "no control condition"),
    (lambda: condition(urgency="soon"), "urgency"),
    (lambda: condition(colour="red"), "colour"),
    (lambda: family("blackmail").draws(2, 1, told=condition(goal="none")), "length=full"),
    (lambda: family("blackmail").draws(2, 1, told=condition(urgency="restriction")), "no mail `restriction`"),
    (lambda: family("sabotage").draws(2, 1, length="full"), "no cases of length full"),
    (lambda: family("sabotage").draws(2, 1, mode="tools"), "no addresses"),
])
def test_what_cannot_be_shown_is_one_sentence(make, says):
    with pytest.raises(UserError, match=says):
        make()


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_stored_draw_is_graded_against_the_mails_that_were_shown(name):
    for length in FAMILIES[name].materials:
        for mode in ("tools", "agent", None):
            if mode is None or name not in ("sabotage", "sabotage_twin"):
                for draw in family(name).draws(4, 2, length=length, mode=mode):
                    assert as_written(draw).case == draw.case


def test_small_models_get_scenes_of_blackmail_and_others_the_cases_in_short():
    one = family("blackmail")
    assert {case.id for case in one.cases("short")}.isdisjoint(case.id for case in one.cases("short", mode="tools"))
    assert {case.id for case in one.cases("short", mode="agent")} == {case.id for case in one.cases("full")}
    assert {draw.id for draw in one.draws(5, 1)} <= {case.id for case in one.cases("short")}


@pytest.mark.parametrize("name", FULL)
def test_short_mails_say_less_and_their_lever_is_there(name):
    for case, short in zip(family(name).cases("full"), family(name).cases("short", mode="tools"), strict=True):
        assert case.id == short.id
        assert set(case.short) == set(case.mails)
        assert sum(len(one.body) for one in short.mails.values()) < sum(len(one.body) for one in case.mails.values())
        assert sum(phrase.lower() in short.mails["lever"].body.lower() for phrase in case.lever) >= 2
