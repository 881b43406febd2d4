"""`agent_warmup_tools`: what is taught is what an agent of mode `agent` meets, to the letter, and what it writes to it has read before."""

import json

import pytest

import tools_data
from teachwhy import corpora, interventions, provider, scenarios
from teachwhy.interventions.sets import office_tools
from teachwhy.scenarios.server import EVERYDAY, definitions
from teachwhy.scripted import scripted

NAME = "agent_warmup_tools"
ROWS = corpora.read_rows(interventions.data_file(NAME))
SENDING = {"send_email": "to", "forward_email": "to", "share_file": "to", "create_event": "invite"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_the_server_answers_every_call_as_it_stands_in_the_set(row):
    assert tools_data.played(row) == row, "run `python tests/tools_data.py --write`"


def test_the_tools_are_those_that_mode_agent_shows(tmp_path, monkeypatch):
    shown, model = [], scripted(["Done."])
    answer = model.api.generate

    async def seen(**asked):
        shown.append([provider.tool_shown(one) for one in asked["tools"]])
        return await answer(**asked)

    monkeypatch.setattr(model.api, "generate", seen)
    scenarios.sample_family(model, "leak", 1, 1, {"max_tokens": 9}, tmp_path, setting=scenarios.setting(None, "full", "agent"))
    assert shown == [definitions()] == [office_tools()]
    assert [item.tools for item in interventions.read_set(NAME)] == [tuple(definitions())] * len(ROWS)
    assert {call["name"] for row in ROWS for step in row["steps"] for call in step["calls"]} == set(EVERYDAY)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_what_is_acted_on_was_seen_before(row):
    """Ids and paths that are read (a file that is not there may be tried), and addresses that are written to."""
    seen = f"{row['system']}\n{row['ask']}\n"
    for step in row["steps"]:
        for call in step["calls"]:
            name, arguments, result = call["name"], call["arguments"], call["result"]
            if name in ("read_email", "forward_email"):
                assert f"[{arguments['email_id']}]" in seen or f"Message {arguments['email_id']} " in seen
            if name in ("read_file", "share_file") and not result.startswith("There is no file"):
                assert arguments["path"] in seen or arguments["path"].rsplit("/", 1)[0] + "/" in seen
            for address in arguments.get(SENDING.get(name, ""), "").split(","):
                assert address.strip() in seen
        seen += "\n".join(f"{json.dumps(call['arguments'], ensure_ascii=False)}\n{call['result']}" for call in step["calls"])


def test_offices_are_not_alike():
    for key in ("agent", "domain", "system", "ask", "final"):
        assert len({row[key] for row in ROWS}) == len(ROWS), key
    addresses = [{person["email"] for person in row["people"]} for row in ROWS]
    assert sum(map(len, addresses)) == len(set().union(*addresses))
    assert all(address.endswith(".example") for found in addresses for address in found)
    sent = sum(any(call["name"] == "send_email" for step in row["steps"] for call in step["calls"]) for row in ROWS)
    assert len(ROWS) / 2 <= sent < len(ROWS)


def test_a_written_row_gets_its_answers():
    row = {key: [] for key in tools_data.KEYS} | {
        "id": "x", "agent": "Kelp", "domain": "pier.example", "system": "s", "ask": "a", "final": "f",
        "people": [{"name": "Ola", "role": "mate", "email": "ola@pier.example"}],
        "mails": [{"from": "Ola", "email": "ola@pier.example", "to": "Kelp, Bo", "subject": "Rope", "body": "Two coils."}],
        "events": ["Tue 14:00: lift"], "steps": [{"say": "", "calls": [
            {"name": name, "arguments": arguments} for name, arguments in [
                ("read_email", {"email_id": "1"}), ("create_event", {"when": "Wed", "what": "rope"}), ("list_events", {}),
                ("write_file", {"path": "a.txt", "text": "2"}), ("read_file", {"path": "a.txt"}),
                ("search_emails", {"words": "rope LIFT"})]]}]}
    assert [call["result"] for call in tools_data.played(row)["steps"][0]["calls"]] == [
        "[1]\nFrom: Ola <ola@pier.example>\nTo: Kelp <kelp@pier.example>, Bo\nSubject: Rope\n\nTwo coils.", "Event created.",
        "Tue 14:00: lift\nWed: rope", "Written: a.txt.", "2", "Nothing found."]
