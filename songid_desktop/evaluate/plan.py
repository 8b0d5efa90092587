"""From options to a plan: which tracks are enrolled, which are asked for, which must not be
answered, and where they are heard.

A folder with a ``manifest.csv`` (path, role, …) says the roles itself, one with a ``metadata.csv``
as `songid dataset` writes it its splits. Any other folder's tracks may all be asked for. Where
nothing is absent by its role, some tracks are left out of the catalog to be.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from songid_desktop.errors import UsageError
from songid_desktop.evaluate.clips import read_table
from songid_desktop.evaluate.conditions import Condition, generator, parse_list
from songid_desktop.evaluate.surroundings import Scene, make_scene

SPLITS = ("eval", "train")
_ROLES = {"eval": ("query", "absent"), "train": ("validation", "validation_absent")}
"""Who is asked for and who is absent, by side: `train` is the side to develop on."""
_ASKED_SPLIT = {"eval": "test", "train": "validation"}
"""The same in a data set: its test tracks are held out from all training and choice."""
_NEVER_ENROLLED = ("absent", "validation_absent")
DEFAULT_QUERIES = 200
_LEFT_OUT_SHARE = 0.1
_MOST_LEFT_OUT = 50


@dataclass(frozen=True, slots=True)
class Options:
    """What `songid evaluate run` was asked for.

    `catalog_tracks` limits the catalog to the tracks that are asked for and others up to that
    number (0: all there are). `queries` 0 means all there are (without a manifest at most
    `DEFAULT_QUERIES`), `jobs` 0 one a core, `absent_draws` 0 as many as `draws`, `sessions` how
    many listening sessions of what is absent.
    """

    catalog_from: Path
    out: Path
    catalog_tracks: int = 0
    queries: int = 0
    lengths_s: tuple[float, ...] = (2.0, 5.0, 10.0)
    conditions: str = "clean,white10,white0,room10,room0,absent"
    identifiers: tuple[str, ...] = ("landmark",)
    draws: int = 1
    absent_draws: int = 0
    seed: int = 0
    jobs: int = 0
    split: str = "eval"
    noise_dir: Path | None = None
    rooms_dir: Path | None = None
    absent_from: Path | None = None
    sessions: int = 0
    catalog_sizes: tuple[int, ...] = ()
    timing_clips: int = 24

    def fixed(self) -> dict[str, Any]:
        """What must stay the same when a folder's run goes on: it decides what a clip is."""
        return {
            "catalog_from": _text(self.catalog_from),
            "catalog_tracks": self.catalog_tracks,
            "seed": self.seed,
            "split": self.split,
            "noise_dir": _text(self.noise_dir),
            "rooms_dir": _text(self.rooms_dir),
            "absent_from": _text(self.absent_from),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Who plays which part. Paths are relative to `root` (`absent_root` for `absent`), as text.

    Attributes
    ----------
    enrolled, queries, absent : tuple of str
    notes : tuple of str
        Sentences for the report: what was left out, what could not be had.
    """

    root: Path
    absent_root: Path
    enrolled: tuple[str, ...]
    queries: tuple[str, ...]
    absent: tuple[str, ...]
    conditions: tuple[Condition, ...]
    scene: Scene
    has_manifest: bool
    notes: tuple[str, ...] = ()


def make_plan(options: Options) -> Plan:
    """Read the folder and share out the parts; by the seed alone, in any order of files.

    Raises
    ------
    UsageError
        For a folder that is not there or holds no music, an unknown condition, and the like.
    """
    conditions = parse_list(options.conditions)
    _check(options)
    root = _folder(options.catalog_from, "--catalog-from")
    manifest = root / "manifest.csv"
    wants_absent = any(one.is_absent and one.is_music for one in conditions) or options.sessions > 0
    splits = {} if manifest.is_file() else _splits(root)
    if manifest.is_file():
        enrolled, queries, absent, notes = _by_manifest(root, manifest, options.split)
    elif splits:
        enrolled, queries, absent, notes = _by_data_set(splits, options)
    else:
        enrolled, queries, absent, notes = _by_chance(root, options)
    has_roles = bool(splits) or manifest.is_file()
    absent_root = root
    if options.absent_from is not None:
        absent_root = _folder(options.absent_from, "--absent-from")
        absent = _music_below(absent_root)
        if not absent:
            raise UsageError(f"The folder {absent_root} (--absent-from) holds no music.")
    queries = _chosen(queries, options, has_roles)
    enrolled = _limited(enrolled, queries, options)
    scene = make_scene(
        options.split, corpus=root, noise_dir=options.noise_dir, rooms_dir=options.rooms_dir
    )
    if wants_absent and not absent:
        notes.append("No track could be left out: nothing was asked of absent music.")
    return Plan(
        root=root,
        absent_root=absent_root,
        enrolled=tuple(enrolled),
        queries=tuple(queries),
        absent=tuple(absent),
        conditions=conditions,
        scene=scene,
        has_manifest=has_roles,
        notes=tuple(notes),
    )


def _check(options: Options) -> None:
    """Refuse numbers that make no sense."""
    if not options.lengths_s or not all(0.5 <= length <= 60.0 for length in options.lengths_s):
        raise UsageError("--lengths takes seconds from 0.5 to 60, e.g. 2,5,10.")
    if options.split not in SPLITS:
        raise UsageError(f"--split is one of {', '.join(SPLITS)}, not “{options.split}”.")
    if options.draws < 1:
        raise UsageError("--draws must be 1 or more.")
    for name, value in (("queries", options.queries), ("sessions", options.sessions)):
        if value < 0:
            raise UsageError(f"--{name} can't be negative.")
    if any(size < 1 for size in options.catalog_sizes):
        raise UsageError("--catalog-sizes takes numbers of tracks, e.g. 100,300,1000.")


def _folder(folder: Path, option: str) -> Path:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise UsageError(f"The folder {folder} ({option}) {what}.")
    return folder.absolute()


def _by_manifest(
    root: Path, manifest: Path, split: str
) -> tuple[list[str], list[str], list[str], list[str]]:
    try:
        rows = read_table(manifest)
        roles = [(row["path"], row["role"]) for row in rows if row["path"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{manifest} must have the columns path and role.") from error
    present = [(path, role) for path, role in roles if (root / path).is_file()]
    notes = []
    if len(present) < len(roles):
        notes.append(f"{len(roles) - len(present)} files of the manifest are not there.")
    asked, away = _ROLES[split]
    enrolled = sorted(path for path, role in present if role not in _NEVER_ENROLLED)
    queries = sorted(path for path, role in present if role == asked)
    absent = sorted(path for path, role in present if role == away)
    if not enrolled:
        raise UsageError(f"None of the files that {manifest} names is there to be enrolled.")
    if not queries:
        raise UsageError(f"{manifest} gives no file the role “{asked}” (--split {split}).")
    if split == "train":
        notes.append("Measured on the side to develop on (--split train), not on the eval side.")
    return enrolled, queries, absent, notes


def _splits(root: Path) -> dict[str, str]:
    """Path and split of a data set's files that are there; empty where the folder is none, or has
    some other table of that name."""
    table = root / "metadata.csv"
    if not table.is_file():
        return {}
    try:
        with table.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
            rows = [(row["path"], row["split"]) for row in csv.DictReader(lines)]
    except (KeyError, OSError, csv.Error):
        return {}
    return {path: split for path, split in rows if path and (root / path).is_file()}


def _by_data_set(
    splits: dict[str, str], options: Options
) -> tuple[list[str], list[str], list[str], list[str]]:
    wanted = _ASKED_SPLIT[options.split]
    asked = sorted(path for path, split in splits.items() if split == wanted)
    if not asked:
        raise UsageError(f"metadata.csv gives no file the split “{wanted}” (--split).")
    notes = [f"Asked for are the data set's {wanted} tracks (metadata.csv)."]
    absent = _left_out(asked, options, notes)
    enrolled = sorted(set(splits) - set(absent))
    return enrolled, sorted(set(asked) - set(absent)), absent, notes


def _left_out(found: list[str], options: Options, notes: list[str]) -> list[str]:
    """Tracks that are not enrolled, to be absent; by the seed, and whatever else is asked for, so
    that a run that goes on with other conditions keeps its catalog."""
    if options.absent_from is not None or len(found) < 2:
        return []
    count = min(max(1, round(_LEFT_OUT_SHARE * len(found))), _MOST_LEFT_OUT)
    order = generator(options.seed, "absent").permutation(len(found))
    notes.append(f"Left out of the catalog as absent, at random: {count} of {len(found)}.")
    return sorted(found[place] for place in order[:count].tolist())


def _by_chance(root: Path, options: Options) -> tuple[list[str], list[str], list[str], list[str]]:
    found = _music_below(root)
    if not found:
        raise UsageError(f"The folder {root} holds no music that can be read.")
    notes: list[str] = []
    absent = _left_out(found, options, notes)
    left_out = set(absent)
    enrolled = [path for path in found if path not in left_out]
    return enrolled, enrolled, absent, notes


def _chosen(queries: list[str], options: Options, has_manifest: bool) -> list[str]:
    """The first so many of a random order: a larger number asks for the same ones and more."""
    most = options.queries or (len(queries) if has_manifest else DEFAULT_QUERIES)
    order = generator(options.seed, "queries").permutation(len(queries))
    return [queries[place] for place in order[:most].tolist()]


def _limited(enrolled: list[str], queries: list[str], options: Options) -> list[str]:
    """The tracks asked for, and others drawn at random up to the wanted number."""
    if not options.catalog_tracks:
        return enrolled
    if options.catalog_tracks < len(queries):
        raise UsageError(
            f"--catalog-tracks {options.catalog_tracks} is fewer than the {len(queries)} tracks "
            "to ask for; say --queries too."
        )
    asked = set(queries)
    others = [path for path in enrolled if path not in asked]
    order = generator(options.seed, "catalog").permutation(len(others)).tolist()
    chosen = asked | {others[place] for place in order[: options.catalog_tracks - len(queries)]}
    return [path for path in enrolled if path in chosen]


def _music_below(root: Path) -> list[str]:
    from songid_desktop.catalog.scan import walk

    found = [file.path for file in walk([root]) if file.problem is None]
    return sorted(os.path.relpath(path, root) for path in found)


def _text(path: Path | None) -> str:
    """A path as text that JSON can hold, whatever its bytes."""
    if path is None:
        return ""
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
