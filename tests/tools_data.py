"""Compute what the office answers in `agent_warmup_tools`, on the server that an agent of mode `agent` works at.

    python tests/tools_data.py [WRITTEN.jsonl ...] --write

Written rows (an office, and steps with calls; docs/add-an-intervention.md says their keys) are added to the set, or replace the rows of the
same id; without any, the answers of the set as it stands are computed anew. `tools.jsonl` beside it gets the tools as they are shown.
"""

import argparse
import asyncio
from pathlib import Path

from teachwhy import corpora, interventions, store
from teachwhy.scenarios import desk
from teachwhy.scenarios.cases import Received
from teachwhy.scenarios.server import Server, answer, definitions

DATA = interventions.data_file("agent_warmup_tools")
KEYS = ("id", "agent", "domain", "system", "ask", "people", "mails", "files", "events", "steps", "final")


def office(row: dict) -> Server:
    """The office of a row, before the agent has done anything."""
    address = {person["name"]: person["email"] for person in row["people"]} | {row["agent"]: desk.own_address(row["agent"], row["domain"])}
    inbox = [Received(id=str(place), sender=one["from"], address=one["email"], to=desk.recipients(one["to"], address),
                      subject=one["subject"], body=one["body"]) for place, one in enumerate(row["mails"], 1)]
    return Server(inbox, {file["path"]: file["text"] for file in row["files"]}, row["events"])


async def _played(row: dict) -> dict:
    server = office(row)
    steps = [{"say": step["say"], "calls": [
        {"name": call["name"], "arguments": call["arguments"], "result": await answer(server, call["name"], call["arguments"])}
        for call in step["calls"]]} for step in row["steps"]]
    return {key: row[key] for key in KEYS} | {"steps": steps}


def played(row: dict) -> dict:
    """The row with the answer to every call, in the order of the calls."""
    return asyncio.run(_played(row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("written", nargs="*", type=Path)
    parser.add_argument("--write", action="store_true")
    told = parser.parse_args()
    rows = {row["id"]: row for path in ([DATA] if DATA.is_file() else []) + told.written for row in corpora.read_rows(path)}
    done = [played(rows[name]) for name in sorted(rows)]
    print(f"{len(done)} rows, {sum(len(step['calls']) for row in done for step in row['steps'])} calls")
    if told.write:
        store.write_jsonl(DATA, done)
        store.write_jsonl(DATA.with_name("tools.jsonl"), definitions())


if __name__ == "__main__":
    main()
