"""What has been paid for already? Every answer is a file, named by the hash of all that was asked, and written when it comes.

Model, parameters, messages and the number of the draw make the name, so the same command finds its answers again, and a changed prompt
asks anew. Answers that cannot be used are kept too: they were paid for. Errors are not kept. One process at a time works in a folder, or
two would pay for the same answers.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from teachwhy import store
from teachwhy.errors import UserError
from teachwhy.llm import Reply


def key_of(model: str, parameters: dict[str, Any], messages: list[dict[str, str]], draw: tuple[int, int]) -> str:
    """Hash of a request. `draw` is (the row's number among rows that ask the same, attempt)."""
    asked = json.dumps([model, parameters, messages, list(draw)], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(asked.encode(errors="surrogatepass")).hexdigest()[:24]


class Cache:
    """A folder of answers, held until it is closed.

    Raises:
        UserError: the folder cannot be written to, or another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = store.open_folder(folder)
        try:
            self._hold = (self.folder / ".lock").open("w")
        except OSError as error:
            raise UserError(f"Cannot write to {self.folder / '.lock'} ({error.strerror})", "Give another folder with --out.") from error
        try:
            fcntl.flock(self._hold, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it when the process ends, however it ends
        except BlockingIOError as error:
            raise UserError(f"Another process is making data in {self.folder.parent}", "Wait until it has ended, or give another folder "
                            "with --out.") from error
        except OSError:
            pass  # some network file systems have no locks

    def close(self) -> None:
        """Let others have the folder."""
        self._hold.close()

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> Reply | None:
        """The answer to a request, or None where it was never answered. A file that is not whole counts as none."""
        return _reply(self._file(key))

    def put(self, key: str, model: str, reply: Reply, asked: dict[str, Any]) -> None:
        """Keep an answer, in one step. `asked` is written beside it for people to read."""
        file = self._file(key)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            file.parent.mkdir(exist_ok=True)
            # ASCII only: a lone surrogate in an answer is no valid UTF-8.
            temporary.write_text(json.dumps({"model": model, "text": reply.text, "stop": reply.stop, "tokens": reply.tokens, **asked}))
            os.replace(temporary, file)
        except OSError as error:
            raise UserError(f"Cannot keep an answer in {self.folder} ({error.strerror})",
                            "Free some space, then run the same command: what was kept is not asked again.") from error

    def paid(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """(model, (input, output)) tokens of every answer kept so far."""
        for file in self.folder.glob("??/*.json"):
            reply = _reply(file)
            if reply is not None and reply.tokens is not None:
                yield str(json.loads(file.read_text(encoding="utf-8"))["model"]), reply.tokens


def _reply(file: Path) -> Reply | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return Reply(str(kept["text"]), str(kept["stop"]), (int(kept["tokens"][0]), int(kept["tokens"][1])))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
