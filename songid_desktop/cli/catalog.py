"""`songid catalog`: look at the library, check it, take things out of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output
from songid_desktop.cli.identify import file_name

if TYPE_CHECKING:
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.catalog.records import LibraryCounts
    from songid_desktop.landmark.survey import Survey
    from songid_desktop.paths import Paths
    from songid_desktop.types import Track


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "catalog",
        help="the library: list, stats, remove, verify, rebuild",
        description="Look at the library, check it, take things out of it.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = _action(actions, "list", _list, "every track, one a line")
    listing.add_argument(
        "--search", default="", metavar="TEXT", help="only tracks with these words"
    )
    _action(actions, "stats", _stats, "the library in numbers")
    removing = _action(actions, "remove", _remove, "take tracks out; files are not touched")
    removing.add_argument(
        "tracks",
        nargs="*",
        type=file_name,
        metavar="TRACK",
        help="a track's number, or a file or folder",
    )
    removing.add_argument("--missing", action="store_true", help="every track whose file is gone")
    _action(actions, "verify", _verify, "check database and index; exit 3 when something is wrong")
    rebuilding = _action(actions, "rebuild", _rebuild, "make the index again from the database")
    rebuilding.add_argument("--identifier", default="all", metavar="NAME[,NAME]|all")


def _action(actions: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="as JSON, one object a line")
    parser.set_defaults(run=run)
    return parser


def _open(paths: Paths) -> Catalog | None:
    """The catalog, or None where nothing was ever enrolled."""
    if not paths.catalog.exists():
        return None
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.identify.registry import config_digests

    return Catalog.open(paths, create=False, configs=config_digests())


def track_object(track: Track) -> dict[str, Any]:
    """A track as JSON."""
    return {
        "track_id": track.track_id,
        "path": output.path_text(track.path),
        "title": track.title,
        "artist": track.artist,
        "album": track.tags.album,
        "genre": track.tags.genre,
        "year": track.tags.year,
        "duration_s": round(track.duration_s, 3),
        "locations": [output.path_text(path) for path in track.locations],
        "is_missing": track.is_missing,
        "warning": track.warning,
        "states": {state.identifier: state.state.value for state in track.states},
    }


def _list(args: argparse.Namespace, paths: Paths) -> int:
    catalog = _open(paths)
    if catalog is None:
        output.note("Nothing is enrolled yet.")
        return 0
    with catalog:
        tracks = catalog.tracks(search=args.search)
    for track in tracks:
        if args.json:
            output.emit(track_object(track))
        else:
            name = output.name(track.artist, track.title)
            gone = "  (missing)" if track.is_missing else ""
            length = output.clock(track.duration_s)
            output.say(
                f"{track.track_id:6}  {length:>7}  {name}  {output.printable(track.path)}{gone}"
            )
    return 0


def _stats(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.catalog.records import LibraryCounts

    catalog = _open(paths)
    if catalog is None:
        counts = LibraryCounts()
    else:
        with catalog:
            counts = catalog.counts()
    index_bytes = _folder_bytes(paths.index)
    index_of = {name: _folder_bytes(paths.index / name) for name in counts.enrolled}
    indexes = _surveys(paths)
    numbers: dict[str, Any] = {
        "tracks": counts.tracks,
        "missing": counts.missing,
        "problems": counts.problems,
        "duration_s": round(counts.duration_s, 3),
        "folders": counts.folders,
        "locations": counts.locations,
        "enrolled": counts.enrolled,
        "pending": counts.pending,
        "failed": counts.failed,
        "fingerprint_bytes": counts.fingerprint_bytes,
        "cover_bytes": counts.cover_bytes,
        "database_bytes": counts.database_bytes,
        "index_bytes": index_bytes,
        "index_bytes_of": index_of,
        "catalog": output.path_text(paths.catalog),
        "bytes_per_minute": _per_minute(
            sum(counts.fingerprint_bytes.values()) + index_bytes, counts.duration_s
        ),
        "indexes": {name: _index_object(found) for name, found in indexes.items()},
    }
    if args.json:
        output.emit(numbers)
        return 0
    output.say(f"{counts.tracks:,} tracks, {counts.duration_s / 3600:.1f} hours of music")
    for name in sorted(counts.enrolled):
        output.say(_identifier_line(name, counts, index_of.get(name, 0)))
    output.say(f"{counts.missing:,} missing, {counts.problems:,} files that could not be enrolled")
    output.say(f"database {counts.database_bytes / 1e6:.1f} MB, index {index_bytes / 1e6:.1f} MB")
    if counts.duration_s:
        output.say(f"{numbers['bytes_per_minute'] / 1e3:.1f} kB stored per minute of music")
    for name, found in indexes.items():
        _say_survey(name, found)
    output.say(output.printable(paths.catalog))
    return 0


def _identifier_line(name: str, counts: LibraryCounts, index_bytes: int) -> str:
    """How far one identifier is, and what it takes."""
    pending, failed = counts.pending.get(name, 0), counts.failed.get(name, 0)
    prints = counts.fingerprint_bytes.get(name, 0)
    line = f"{name}: {counts.enrolled[name]:,} enrolled, {pending:,} pending"
    line += f", {failed:,} failed" if failed else ""
    line += f"; fingerprints {prints / 1e6:.1f} MB, index {index_bytes / 1e6:.1f} MB"
    if counts.duration_s:
        line += f" ({_per_minute(prints + index_bytes, counts.duration_s) / 1e3:.1f} kB a minute)"
    return line


_COMMON_HASHES = 10


def _surveys(paths: Paths) -> dict[str, Survey]:
    """What the indexes on disk are made of, by identifier."""
    from songid_desktop.identify.compaction import saved_index
    from songid_desktop.identify.registry import installed_names
    from songid_desktop.landmark.survey import survey

    found = {}
    for name in installed_names():
        index = saved_index(paths, name)
        if index is not None and index.directory.is_dir():
            found[name] = survey(index.directory, index.scheme, most=_COMMON_HASHES)
    return found


def _per_minute(count: int, duration_s: float) -> float:
    return round(count / duration_s * 60.0, 1) if duration_s > 0 else 0.0


def _index_object(found: Survey) -> dict[str, Any]:
    """An index as JSON."""
    numbers = found.statistics
    return {
        "tracks": numbers.tracks,
        "removed_tracks": numbers.removed_tracks,
        "segments": numbers.segments,
        "postings": numbers.postings,
        "peaks": numbers.peaks,
        "bytes": numbers.bytes,
        "bytes_of": numbers.bytes_of,
        "common_hashes": [
            {"hash": one.key, "postings": one.postings, "text": one.text} for one in found.common
        ],
        "problems": list(found.faults),
    }


def _say_survey(name: str, found: Survey) -> None:
    numbers = found.statistics
    output.say(
        f"{name} index: {numbers.tracks:,} tracks, {numbers.postings:,} postings, "
        f"{numbers.peaks:,} peaks in {numbers.segments:,} "
        f"segment{'' if numbers.segments == 1 else 's'}"
    )
    parts = sorted(numbers.bytes_of.items(), key=lambda item: -item[1])
    output.say("  " + ", ".join(f"{part} {size / 1e6:.1f} MB" for part, size in parts))
    if numbers.removed_tracks:
        output.say(f"  {numbers.removed_tracks:,} removed tracks still take room")
    if found.common:
        output.say("  commonest hashes:")
    for one in found.common:
        share = 100.0 * one.postings / max(numbers.postings, 1)
        output.say(f"  {one.postings:10,}  {share:5.2f} %  {one.text}")
    for fault in found.faults:
        output.say(f"  not usable: {fault}; it is made again when it is next opened")


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _remove(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.errors import UsageError

    if not args.tracks and not args.missing:
        raise UsageError("Name tracks, files or folders to take out, or give --missing.")
    catalog = _open(paths)
    if catalog is None:
        raise UsageError("The library is empty: there is nothing to take out.")
    with catalog:
        everything = catalog.tracks()
        chosen: dict[int, Track] = {}
        for text in args.tracks:
            found = _matching(text, everything)
            if not found:
                raise UsageError(f"Nothing in the library is called “{output.printable(text)}”.")
            chosen.update({track.track_id: track for track in found})
        if args.missing:
            chosen.update({track.track_id: track for track in everything if track.is_missing})
        if chosen:
            with catalog.writer("songid catalog remove") as writer:
                writer.remove_tracks(chosen)
    _save(paths)
    if args.json:
        output.emit({"removed": len(chosen), "track_ids": sorted(chosen)})
    else:
        output.say(f"{len(chosen):,} tracks taken out of the library; their files are untouched.")
    return 0


def _matching(text: str, tracks: list[Track]) -> list[Track]:
    """The tracks meant by a number, a file's path or a folder's path."""
    if text.isdecimal():
        return [track for track in tracks if track.track_id == int(text)]
    wanted = Path(text).expanduser().absolute()
    return [
        track
        for track in tracks
        if any(path == wanted or wanted in path.parents for path in (track.path, *track.locations))
    ]


def _save(paths: Paths) -> None:
    """Write the indexes without what was removed; a busy catalog does it at its next opening."""
    from songid_desktop.errors import CatalogBusy
    from songid_desktop.identify.enrolment import save_indexes
    from songid_desktop.identify.registry import installed_names

    try:
        save_indexes(paths, installed_names(), holder="songid catalog")
    except CatalogBusy as busy:
        output.note(f"songid: {busy}")


def _verify(args: argparse.Namespace, paths: Paths) -> int:
    faults, notes = _in_the_way(paths), list[str]()
    if not faults and paths.catalog.exists():
        from songid_desktop.catalog.catalog import verify

        faults += verify(paths) or _index_faults(paths)
        notes += [] if faults else _index_gaps(paths)
    if args.json:
        output.emit({"ok": not faults, "problems": faults} | ({"notes": notes} if notes else {}))
    else:
        for fault in faults:
            output.say(fault)
        if not faults:
            output.say("The library is sound.")
        for note in notes:
            output.say(note)
    return 3 if faults else 0


def _in_the_way(paths: Paths) -> list[str]:
    """Files that lie where folders of the library should be."""
    from songid_desktop.identify.registry import installed_names

    folders = [paths.data, paths.index, *(paths.index / name for name in installed_names())]
    return [
        f"{output.path_text(folder)} is a file, and should be a folder of the library. Move it "
        "away; what is an index is made again then."
        for folder in folders
        if folder.exists() and not folder.is_dir()
    ]


def _index_gaps(paths: Paths) -> list[str]:
    """Indexes of enrolled tracks that are not on disk: they are derived from the database."""
    from songid_desktop.identify.registry import installed_names
    from songid_desktop.manifest import MANIFEST

    catalog = _open(paths)
    if catalog is None:
        return []
    with catalog:
        enrolled = catalog.counts().enrolled
    return [
        f"The {name} index is not on disk. No track is lost: it is made again "
        "when it is needed, or now with: songid catalog rebuild"
        for name in installed_names()
        if enrolled.get(name, 0) and not (paths.index / name / MANIFEST).exists()
    ]


def _index_faults(paths: Paths) -> list[str]:
    """Where an index and a sound database disagree."""
    from songid_desktop.identify.engine import Engine
    from songid_desktop.identify.registry import installed_names

    catalog = _open(paths)
    if catalog is None:
        return []
    with catalog:
        enrolled = catalog.counts().enrolled
    faults = _damage(paths)
    with Engine(paths) as engine:
        for name in installed_names():
            found, stored = engine.track_count(name), enrolled.get(name, 0)
            if found != stored:
                faults.append(
                    f"The {name} index finds {found:,} tracks, the catalog has {stored:,}. "
                    "Make it again with: songid catalog rebuild"
                )
    return faults


def _damage(paths: Paths) -> list[str]:
    """Where the bytes of an index are not those that were written."""
    from songid_desktop.identify.registry import installed_names

    return [
        f"The {name} index is damaged ({fault}). "
        "No track is lost. Make it again with: songid catalog rebuild"
        for name in installed_names()
        for fault in _damage_of(name, paths)
    ]


def _damage_of(name: str, paths: Paths) -> list[str]:
    """What is wrong with the files of one index. What is outdated is made again at its next
    opening, as after any update."""
    from songid_desktop.identify import registry
    from songid_desktop.identify.compaction import saved_index
    from songid_desktop.landmark.survey import survey

    if not (paths.index / name).is_dir():
        return []
    index = saved_index(paths, name)
    if index is not None:
        found = survey(index.directory, index.scheme, whole=True)
        return [] if found.is_outdated else list(found.faults)
    look = getattr(registry.create(name, paths), "index_faults", None)
    return [] if look is None else list(look())


def _rebuild(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.catalog.catalog import verify
    from songid_desktop.errors import EnvironmentProblem, NothingEnrolled
    from songid_desktop.identify.enrolment import rebuild_indexes
    from songid_desktop.identify.registry import resolve_names

    names = resolve_names(args.identifier)
    if obstacles := _in_the_way(paths):
        raise EnvironmentProblem(" ".join(obstacles))
    if not paths.catalog.exists():
        raise NothingEnrolled("Nothing is enrolled yet. Enrol with: songid enroll FOLDER")
    salvaged: dict[str, Any] = {}
    if verify(paths):
        salvaged = _salvage(paths)
    tracks = rebuild_indexes(paths, names, holder="songid catalog rebuild")
    if args.json:
        output.emit({"identifiers": list(names), "tracks": tracks, **salvaged})
    else:
        output.say(f"Index made again: {tracks:,} tracks can be found.")
    return 0


def _salvage(paths: Paths) -> dict[str, Any]:
    """Put what can be read of a damaged database into a new one."""
    from songid_desktop.catalog.rebuild import rebuild

    report = rebuild(paths, holder="songid catalog rebuild")
    saved, lost = report.saved.get("tracks", 0), report.lost.get("tracks", 0)
    output.note(
        f"The database was damaged. {saved:,} tracks were saved into a new one, {lost:,} could "
        f"not be. The old file is kept as {output.printable(report.kept_file)}."
    )
    for fault in report.faults:
        output.note(fault)
    return {
        "saved": report.saved,
        "lost": report.lost,
        "kept_file": output.path_text(report.kept_file),
        "problems": list(report.faults),
    }
