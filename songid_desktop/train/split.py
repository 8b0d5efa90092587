"""Rows of a data set, and how they are shared out so that nothing leaks from one part to another.

What one artist plays is kept on one side of the split: a live version, a remix or the same
recording on a compilation must not stand on both. Files that say no artist go by their album, then
by their folder; files with the same sound are never parted.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import PurePosixPath

from songid_desktop.errors import UsageError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)

_ANYBODY = frozenset({"", "various", "various artists", "va", "unknown", "unknown artist"})


@dataclass(frozen=True, slots=True)
class Row:
    """One track of a data set, in the order of the table's columns.

    `path` is relative to the table's folder, with slashes; `genre` may hold several, parted by
    semicolons. `licence` and `source` are known only of tracks that were collected from a service.
    """

    track_id: str
    title: str
    artist: str
    album: str
    duration_s: float
    genre: str
    path: str
    split: str = ""
    licence: str = ""
    source: str = ""


COLUMNS = tuple(field.name for field in fields(Row))


@dataclass(frozen=True, slots=True)
class Shares:
    """How a data set is shared out. `test` is of all tracks, `validation` of what is left then:
    the report's 791 + 198 tracks, and 200 more that nothing was chosen by."""

    validation: float = 0.2
    test: float = 0.17

    def __post_init__(self) -> None:
        for name, share in (("validation", self.validation), ("test", self.test)):
            if not 0.0 <= share <= 0.9:
                raise UsageError(f"The {name} share must be from 0 to 0.9, not {share:g}.")

    def counts(self, total: int) -> dict[str, int]:
        """Tracks of each split, `total` together."""
        test = round(self.test * total)
        validation = round(self.validation * (total - test))
        return {TRAIN: total - test - validation, VALIDATION: validation, TEST: test}


def plain_name(name: str) -> str:
    """A name to compare by: without case, accents, punctuation and a leading article. Empty for
    those that name nobody, like "Various Artists"."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(char for char in decomposed if not unicodedata.combining(char))
    words = re.sub(r"[\W_]+", " ", letters).strip().removeprefix("the ")
    return "" if words in _ANYBODY else words


def groups_of(rows: Sequence[Row], sounds: Sequence[str] | None = None) -> list[int]:
    """Which tracks must stay together: a number for each row, the same for rows of one group.

    Parameters
    ----------
    sounds : sequence of str, optional
        For each row what identifies its sound; equal ones are the same group whatever their tags.
    """
    leader = list(range(len(rows)))

    def root(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    first: dict[tuple[str, str], int] = {}
    for place, row in enumerate(rows):
        keys = [_group_key(row)]
        if sounds is not None:
            keys.append(("sound", sounds[place]))
        for key in keys:
            other = first.setdefault(key, place)
            low, high = sorted((root(other), root(place)))
            leader[high] = low
    return [root(place) for place in range(len(rows))]


def _group_key(row: Row) -> tuple[str, str]:
    if artist := plain_name(row.artist):
        return "artist", artist
    folder = PurePosixPath(row.path).parent.as_posix()
    if album := plain_name(row.album):
        return "album", f"{folder}/{album}"
    return ("folder", folder) if folder != "." else ("file", row.path)


def share_out(
    keys: Sequence[str],
    groups: Sequence[int],
    seed: int,
    shares: Shares,
    before: Sequence[str] | None = None,
) -> list[str]:
    """The split of each track: whole groups, by the seed, as near to the shares as groups allow.

    Groups come in an order that seed and names decide. Each goes where, of the splits with room
    for it, the largest part is still open; one too large for all goes where most is open.

    Parameters
    ----------
    keys : sequence of str
        A name of each track that stays the same, as its path.
    before : sequence of str, optional
        Split of each track so far; empty where it has none. A group goes where most of it is.
    """
    members: dict[int, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    left = shares.counts(len(keys))
    wanted = dict(left)
    chosen = [""] * len(keys)

    def put(places: Iterable[int], split: str) -> None:
        for place in places:
            chosen[place] = split
            left[split] -= 1

    waiting = []
    for places in members.values():
        known = Counter(before[p] for p in places if before[p] in SPLITS) if before else Counter()
        if known:
            put(places, max(SPLITS, key=lambda split: (known[split], split)))
        else:
            waiting.append(places)

    def order(places: list[int]) -> bytes:
        name = min(os.fsencode(keys[place]) for place in places)
        return hashlib.sha256(b"%d\0" % seed + name).digest()

    for places in sorted(waiting, key=order):
        fitting = [split for split in SPLITS if left[split] >= len(places)]
        if fitting:
            put(places, max(fitting, key=lambda split: left[split] / wanted[split]))
        else:
            put(places, max(SPLITS, key=lambda split: left[split]))
    return chosen
