"""The folder that a collection grows in: pages of the listing, a journal of what was decided, and
the files. All of it only grows, and survives a kill at any moment.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from songid_desktop.errors import UsageError
from songid_desktop.train.dataset import write_whole
from songid_desktop.train.jamendo_api import Listed


@dataclass(frozen=True, slots=True)
class Fate:
    """What was decided about a track: kept (no reason), or left out."""

    track_id: str
    duration_s: float = 0.0
    reason: str = ""
    message: str = ""


class Store:
    """The folder: pages and journal, which only grow, and the files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / ".collect"
        self.audio = folder / "audio"
        self._journal = self.state / "journal.jsonl"
        self.fates: dict[str, Fate] = {}

    def prepare(self, api_url: str) -> None:
        """Make the folders, and see that they belong to the same collection.

        Raises
        ------
        UsageError
            They were begun with another service.
        OSError
        """
        for folder in (self.state / "pages", self.audio):
            folder.mkdir(parents=True, exist_ok=True)
        about = self.state / "about.json"
        said: Any = None
        with contextlib.suppress(OSError, ValueError):
            said = json.loads(about.read_text("utf-8"))
        if isinstance(said, dict) and said.get("api_url", api_url) != api_url:
            raise UsageError(
                f"{self.folder} was begun with another service ({said['api_url']}). Go on with "
                "that one, or choose another folder."
            )
        write_whole(about, json.dumps({"api_url": api_url}).encode())
        self._read_journal()

    def _read_journal(self) -> None:
        """Take in what was decided; a line that a kill cut short counts as not written."""
        if not self._journal.exists():
            return
        whole = 0
        for line in self._journal.read_bytes().splitlines(keepends=True):
            try:
                fate = Fate(**json.loads(line))
            except (ValueError, TypeError):
                fate = None
            if line.endswith(b"\n"):
                whole += len(line)
                if fate is not None and (fate.reason or self.path(fate.track_id).exists()):
                    self.fates[fate.track_id] = fate
        with self._journal.open("r+b") as file:
            file.truncate(whole)

    def path(self, track_id: str) -> Path:
        return self.audio / f"{track_id}.mp3"

    def part(self, track_id: str) -> Path:
        return self.audio / f".{track_id}.part"

    def decide(self, fate: Fate) -> None:
        self.fates[fate.track_id] = fate
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(fate)) + "\n")

    def page(self, number: int) -> list[Listed] | None:
        """A page of the listing as it was seen before."""
        try:
            said = json.loads((self.state / "pages" / f"{number:05}.json").read_text("utf-8"))
            return [Listed(**one) for one in said]
        except (OSError, ValueError, TypeError):
            return None

    def keep_page(self, number: int, listed: list[Listed]) -> None:
        text = json.dumps([dataclasses.asdict(one) for one in listed])
        write_whole(self.state / "pages" / f"{number:05}.json", text.encode())


def write_left_out(path: Path, left_out: list[tuple[Listed, Fate]]) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("track_id", "title", "artist", "reason", "message", "source"))
    for one, fate in left_out:
        table.writerow((one.track_id, one.title, one.artist, fate.reason, fate.message, one.source))
    write_whole(path, text.getvalue().encode())
