"""`songid evaluate embeddings`: the report's analyses of what its encoders learned, for any models
side by side.

Over the same tracks and clips for every model: how alike the same moment, other moments of the same
track, and other tracks are; the tracks on a plane by genre (t-SNE); the most and least alike
triplets with the cosines among them; and how often one vector a clip finds its track, which is how
the report retrieves. What the program itself retrieves by, sequences, stands in the report's other
tables.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.errors import UsageError
from songid_desktop.evaluate import embedding_figures as figures
from songid_desktop.evaluate import tsne
from songid_desktop.evaluate.conditions import generator
from songid_desktop.evaluate.embedding_figures import Query, Track, Triplet
from songid_desktop.evaluate.embedding_vectors import (
    Clips,
    Encoder,
    Source,
    Store,
    TrackVectors,
    make,
    make_in_worker,
    source_of,
)
from songid_desktop.evaluate.parallel import default_jobs, run_tasks
from songid_desktop.evaluate.plan import Options, Plan, make_plan
from songid_desktop.evaluate.results import RunFolder
from songid_desktop.paths import Paths, base_dir_paths
from songid_desktop.types import CancelToken, FloatArray

EMBEDDINGS_FILE = "embeddings.json"
_KEPT_FOLDER = "embeddings"
_FEWEST_TRACKS = 5
_TRIPLETS = 5
"""As many as the report shows."""
_GROUPS = 7
"""Colours that can be told apart; what is rarer is "other"."""
_TAGGED_SHARE = 0.3
"""Of the tracks must have a genre (or album) for the picture to be coloured by it."""
_BINS = 60
_MIDDLE_S = 5.0


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """What was asked for. `catalog_from` may be None where the folder holds a run already; an empty
    `models` means all that travel with the program; `tracks` 0 all there are; `jobs` 0 one a core.
    """

    out: Path
    catalog_from: Path | None = None
    models: tuple[str, ...] = ()
    tracks: int = 200
    stretch_s: float = 60.0
    lengths_s: tuple[float, ...] = (2.0, 5.0, 10.0)
    conditions: str = "clean,white20,white10,white0"
    seed: int = 0
    split: str = "eval"
    noise_dir: Path | None = None
    rooms_dir: Path | None = None
    jobs: int = 0


Progress = Callable[[str, int, int], None]
"""Told a stage, and how far it is."""


def measure(
    options: EmbeddingOptions,
    paths: Paths,
    *,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Do all of it, keep it as `EMBEDDINGS_FILE` in the folder, and give what is in there.

    Raises
    ------
    UsageError
        No such model, no music, too few tracks.
    EnvironmentProblem, ModelError
    Cancelled
        What was made is kept; the same call goes on.
    """
    if not max((0.0, *options.lengths_s)) <= options.stretch_s <= 3600.0:
        raise UsageError(
            f"--stretch takes seconds from the longest clip up to 3600, not {options.stretch_s:g}."
        )
    folder = RunFolder(options.out.absolute())
    plan = _plan(options, folder)
    if any(not one.is_music or one.is_absent for one in plan.conditions):
        raise UsageError("The analyses need clips of music that is there: clean, white0, room0, …")
    if len(plan.queries) < _FEWEST_TRACKS:
        raise UsageError(
            f"The analyses need {_FEWEST_TRACKS} tracks or more; {plan.root} has "
            f"{len(plan.queries)} that may be asked for."
        )
    tracks = [plan.root / path for path in plan.queries]
    catalogs = (base_dir_paths(folder.instance), paths)
    names = options.models or _shipped(paths)
    sources = _named_apart([source_of(name, paths, catalogs, tracks) for name in names])
    with folder.taken():
        return analyse(
            plan, sources, options, progress=progress or (lambda *_: None), cancel=cancel
        )


def analyse(
    plan: Plan,
    sources: Sequence[Source],
    options: EmbeddingOptions,
    *,
    progress: Progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """The same with the models given. Raises as `measure`."""
    folder = RunFolder(options.out.absolute())
    clips = Clips(plan.conditions, options.lengths_s, plan.scene, options.seed, options.stretch_s)
    store = Store(folder.folder / _KEPT_FOLDER, plan.root, clips)
    _make_missing(store, plan.queries, sources, jobs=options.jobs, progress=progress, cancel=cancel)
    by_model: dict[str, list[TrackVectors]] = {source.name: [] for source in sources}
    kept: list[str] = []
    for path in plan.queries:
        found = [store.read(path, source) for source in sources]
        if None not in found:
            for source, one in zip(sources, found, strict=True):
                by_model[source.name] += [one] if one is not None else []
            kept.append(path)
    if len(kept) < _FEWEST_TRACKS:
        raise UsageError(
            f"Only {len(kept)} of {len(plan.queries)} tracks can be used, and {_FEWEST_TRACKS} are "
            f"needed: they must be readable and longer than the clips ({max(clips.lengths_s):g} s)."
        )
    labels, groups, grouped_by = _described(plan.root, kept)
    result: dict[str, Any] = {
        "format": 1,
        "tracks": labels,
        "groups": groups,
        "grouped_by": grouped_by,
        "left_out": len(plan.queries) - len(kept),
        "stretch_s": options.stretch_s,
        "lengths_s": list(options.lengths_s),
        "conditions": [one.name for one in plan.conditions],
        "backgrounds_are": plan.scene.backgrounds_are,
        "rooms_are": plan.scene.rooms_are,
        "models": {},
    }
    for number, source in enumerate(sources):
        progress("analyses", number, len(sources))
        made = by_model[source.name]
        result["models"][source.name] = {
            "digest": source.digest,
            **_analysed(made, clips, options.seed, cancel),
        }
    progress("analyses", len(sources), len(sources))
    folder.write_text(EMBEDDINGS_FILE, json.dumps(result) + "\n")
    return result


def _make_missing(
    store: Store,
    paths: Sequence[str],
    sources: Sequence[Source],
    *,
    jobs: int,
    progress: Progress,
    cancel: CancelToken | None,
) -> None:
    """Make what is not kept yet, in worker processes (with `jobs` 1 on this thread)."""
    needed = [path for path in paths if store.missing(path, sources) is not None]
    tasks = (task for path in needed if (task := store.missing(path, sources)) is not None)
    jobs = jobs or default_jobs()
    encoders: dict[str, Encoder] = {}
    in_turn = functools.partial(make, encoders=encoders)
    progress("vectors", 0, len(needed))
    results = run_tasks(in_turn if jobs == 1 else make_in_worker, tasks, jobs=jobs, cancel=cancel)
    for done, _ in enumerate(results, start=1):
        progress("vectors", done, len(needed))


def read(folder: Path) -> dict[str, Any]:
    """What `measure` kept in a folder; empty where it did not."""
    try:
        found = json.loads((folder / EMBEDDINGS_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("format") == 1 else {}


def numbers(found: Mapping[str, Any]) -> dict[str, Any]:
    """What of it is figures, without what is only drawn."""
    models = {
        name: {
            "digest": model["digest"],
            "retrieval": model["retrieval"],
            "similarity": [
                {key: value for key, value in kind.items() if key != "shares"}
                for kind in model["similarity"]["kinds"]
            ],
            "most_alike": model["most_alike"]["triplets"],
            "least_alike": model["least_alike"]["triplets"],
        }
        for name, model in found.get("models", {}).items()
    }
    return {"tracks": found["tracks"], "models": models} if models else {}


# -- what to look at -------------------------------------------------------------------------------


def _plan(options: EmbeddingOptions, folder: RunFolder) -> Plan:
    """The tracks and the surroundings: those of the folder's run, unless told otherwise."""
    before = folder.read_run().get("fixed") or {}
    music = options.catalog_from or _path(before.get("catalog_from"))
    if music is None:
        raise UsageError(
            f"{folder.folder} holds no run whose music could be looked at: give "
            "--catalog-from MUSIC."
        )
    told = Options(
        catalog_from=music,
        out=folder.folder,
        queries=options.tracks,
        lengths_s=options.lengths_s,
        conditions=options.conditions,
        seed=options.seed,
        split=options.split,
        noise_dir=options.noise_dir,
        rooms_dir=options.rooms_dir,
    )
    if before and options.catalog_from is None:
        told = replace(
            told,
            seed=int(before.get("seed", options.seed)),
            split=str(before.get("split", options.split)),
            noise_dir=options.noise_dir or _path(before.get("noise_dir")),
            rooms_dir=options.rooms_dir or _path(before.get("rooms_dir")),
        )
    return make_plan(told)


def _path(text: object) -> Path | None:
    return Path(text) if isinstance(text, str) and text else None


def _shipped(paths: Paths) -> tuple[str, ...]:
    from songid_desktop.neural.models import every

    names = tuple(one.key for one in every(paths) if one.origin == "shipped" and one.is_installed)
    if not names:
        raise UsageError(
            "No model travels with this installation. Name some: --models PATH,… (weights that "
            "“songid train” made), or install one: songid models list."
        )
    return names


def _named_apart(sources: Sequence[Source]) -> list[Source]:
    """Models of the same name get a number."""
    seen: Counter[str] = Counter()
    apart = []
    for source in sources:
        seen[source.name] += 1
        many = seen[source.name]
        apart.append(source if many == 1 else replace(source, name=f"{source.name} {many}"))
    return apart


def _described(root: Path, paths: Sequence[str]) -> tuple[list[str], list[str], str]:
    """A label and a group for every track, and what the groups are."""
    from songid_desktop.catalog.tags import read_tags

    tags = [read_tags(root / path) for path in paths]
    labels = [
        f"{one.artist} – {one.title}" if one.artist and one.title else one.title or Path(path).stem
        for one, path in zip(tags, paths, strict=True)
    ]
    for what, groups in (
        ("genre", [one.genre.split(";")[0].strip().casefold() for one in tags]),
        ("album", [one.album for one in tags]),
        ("folder", [Path(path).parent.name for path in paths]),
    ):
        told = [group for group in groups if group]
        if len(set(told)) > 1 and len(told) >= _TAGGED_SHARE * len(paths):
            return labels, _frequent(groups), what
    return labels, [""] * len(paths), ""


def _frequent(groups: Sequence[str]) -> list[str]:
    """The most frequent groups by name, all others as "other"."""
    counted = Counter(group for group in groups if group)
    frequent = {
        group for group, _ in sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:_GROUPS]
    }
    return [group if group in frequent else "other" for group in groups]


# -- one model -------------------------------------------------------------------------------------


def _analysed(
    made: Sequence[TrackVectors], clips: Clips, seed: int, cancel: CancelToken | None
) -> dict[str, Any]:
    tracks = [one.track for one in made]
    whole = figures.track_vectors(tracks)
    cosines = np.asarray(whole @ whole.T, np.float64)
    return {
        "dim": int(whole.shape[1]),
        "hop_s": tracks[0].hop_s,
        "similarity": _similarity(tracks, made, clips, seed),
        "retrieval": _retrieval(tracks, whole, made, clips),
        "places": np.round(tsne.embed(whole, cancel=cancel), 3).tolist(),
        "most_alike": _triplets(cosines, most_alike=True),
        "least_alike": _triplets(cosines, most_alike=False),
    }


def _asked(made: Sequence[TrackVectors], length_s: float, condition: str) -> list[Query]:
    """Clips of one kind, those that have vectors."""
    return [
        replace(one.clips[length_s, condition], track=number)
        for number, one in enumerate(made)
        if len(one.clips[length_s, condition].vectors)
    ]


def _similarity(
    tracks: Sequence[Track], made: Sequence[TrackVectors], clips: Clips, seed: int
) -> dict[str, Any]:
    """Cosines of pairs by kind: positive by condition, then negative."""
    length_s = min(clips.lengths_s, key=lambda one: abs(one - _MIDDLE_S))
    negative = figures.other_tracks(tracks, generator(seed, "other tracks"))
    kinds: dict[str, FloatArray] = {
        f"same moment, {one.name}": figures.same_moment(tracks, _asked(made, length_s, one.name))
        for one in clips.conditions
    }
    above = {name: figures.share_above(cosines, negative) for name, cosines in kinds.items()}
    kinds["same track, elsewhere"] = figures.same_track(tracks, generator(seed, "elsewhere"))
    kinds["other tracks"] = negative
    kinds = {name: cosines for name, cosines in kinds.items() if len(cosines)}
    lowest = min(float(np.percentile(cosines, 0.1)) for cosines in kinds.values())
    edges: npt.NDArray[np.float64] = np.linspace(max(-1.0, lowest), 1.0, _BINS + 1)
    return {
        "length_s": length_s,
        "edges": np.round(edges, 5).tolist(),
        "kinds": [
            {
                "name": name,
                "pairs": len(cosines),
                "mean": round(float(cosines.mean()), 4),
                "deviation": round(float(cosines.std()), 4),
                "above": round(above[name], 4) if name in above else None,
                "shares": figures.histogram(cosines, edges),
            }
            for name, cosines in kinds.items()
        ],
    }


def _retrieval(
    tracks: Sequence[Track], whole: FloatArray, made: Sequence[TrackVectors], clips: Clips
) -> list[dict[str, Any]]:
    """Top-1 and Top-5 by one vector a clip: against one a track, and against every place."""
    cells = []
    for length_s in clips.lengths_s:
        for condition in clips.conditions:
            asked = _asked(made, length_s, condition.name)
            if not asked:
                continue
            for way, ranks in (
                ("track", figures.ranks_by_track(whole, asked)),
                ("place", figures.ranks_by_place(tracks, asked)),
            ):
                cells.append(
                    {
                        "way": way,
                        "length_s": length_s,
                        "condition": condition.name,
                        "clips": len(ranks),
                        "top1": sum(rank == 1 for rank in ranks),
                        "top5": sum(rank <= 5 for rank in ranks),
                    }
                )
    return cells


def _triplets(cosines: npt.NDArray[np.float64], *, most_alike: bool) -> dict[str, Any]:
    """Triplets, and the cosines among all of their tracks for the heat map."""
    found: list[Triplet] = figures.triplets(cosines, _TRIPLETS, most_alike=most_alike)
    inside = figures.in_triplets(found)
    return {
        "triplets": [asdict(one) | {"cosine": round(one.cosine, 4)} for one in found],
        "tracks": inside,
        "cosines": np.round(cosines[np.ix_(inside, inside)], 4).tolist(),
    }


def accuracy(cells: Sequence[Mapping[str, Any]], way: str) -> dict[tuple[str, float], Any]:
    """Retrieval cells of one way by condition and length."""
    return {(one["condition"], one["length_s"]): one for one in cells if one["way"] == way}
