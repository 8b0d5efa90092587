"""What a training learned from, for its model card: how much music, from where, on what terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from songid_desktop.train.data import Music


@dataclass(frozen=True, slots=True)
class Collected:
    """Music, backgrounds and rooms of a training.

    Attributes
    ----------
    licences : mapping
        Licence, as the collection's table says, of each package or album learned from.
    scenery : str
        Where backgrounds and rooms come from, in words.
    """

    name: str
    train_tracks: int
    train_hours: float
    validation_tracks: int
    licences: Mapping[str, str] = field(default_factory=dict)
    scenery: str = ""

    def described(self) -> dict[str, Any]:
        """For the card."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Collected:
        return Collected(**values)


def collected(folder: Path, music: Music, scenery: str) -> Collected:
    """Describe what `load_music` brought from a folder."""
    train = music.part("train")
    return Collected(
        folder.name,
        len(train),
        round(music.hours("train"), 2),
        len(music.part("validation")),
        _licences(folder, {track.path for track in train}),
        scenery,
    )


def _licences(folder: Path, paths: set[str]) -> dict[str, str]:
    from songid_desktop.evaluate.clips import read_table

    for table, group, column in (
        ("manifest.csv", "package", "license_hint"),
        ("metadata.csv", "album", "licence"),
    ):
        if (folder / table).is_file():
            rows = [row for row in read_table(folder / table) if row.get("path") in paths]
            said: dict[str, Counter[str]] = {}
            for row in rows:
                name = row.get(group) or "without an album"
                said.setdefault(name, Counter())[row.get(column) or "not said"] += 1
            return {name: ", ".join(sorted(said[name])) for name in sorted(said)}
    return {}
