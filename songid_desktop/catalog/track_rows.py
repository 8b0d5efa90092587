"""Rows of the database into `Track`s, a thousand at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from songid_desktop.catalog.database import Database, Row
from songid_desktop.catalog.names import decode_path
from songid_desktop.types import EnrolState, FileProblem, IdentifierState, Tags, Track

_IDS_AT_ONCE = 1000
_COLUMNS = (
    "track_id, title, artist, album, genre, year, track_number, duration_s, warning, cover_id,"
    " added_at, last_path"
)


def load_tracks(
    database: Database, ids: Sequence[int], configs: Mapping[str, str]
) -> dict[int, Track]:
    """The tracks of `ids` that exist, by id, in the order of `ids`.

    `configs` maps each known identifier to its present configuration digest.
    """
    found: dict[int, Track] = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        chunk = ids[start : start + _IDS_AT_ONCE]
        tracks = {track.track_id: track for track in _load_chunk(database, chunk, configs)}
        found.update((track_id, tracks[track_id]) for track_id in chunk if track_id in tracks)
    return found


def _load_chunk(
    database: Database, ids: Sequence[int], configs: Mapping[str, str]
) -> Iterator[Track]:
    among = f"WHERE track_id IN ({','.join('?' * len(ids))})"
    locations: dict[int, list[tuple[bytes, int]]] = {}
    for track_id, path, is_present in database.rows(
        f"SELECT track_id, path, is_present FROM locations {among} ORDER BY location_id",  # noqa: S608 (placeholders only)
        ids,
    ):
        locations.setdefault(track_id, []).append((path, is_present))
    states = _load_states(database, ids, among, configs)
    for row in database.rows(f"SELECT {_COLUMNS} FROM tracks {among}", ids):  # noqa: S608 (ditto)
        yield _track(row, locations.get(row[0], []), tuple(states[row[0]].values()))


def _load_states(
    database: Database, ids: Sequence[int], among: str, configs: Mapping[str, str]
) -> dict[int, dict[str, IdentifierState]]:
    pending = {name: IdentifierState(name, EnrolState.PENDING) for name in configs}
    enrolled = {name: IdentifierState(name, EnrolState.ENROLLED) for name in configs}
    states = {track_id: dict(pending) for track_id in ids}
    for track_id, name, config, problem, message in database.rows(
        f"SELECT track_id, identifier, config_digest, problem, message FROM failures {among}",  # noqa: S608 (ditto)
        ids,
    ):
        if configs.get(name) == config:
            states[track_id][name] = IdentifierState(
                name, EnrolState.FAILED, FileProblem(problem), message
            )
    for track_id, name, config in database.rows(
        f"SELECT track_id, identifier, config_digest FROM fingerprints {among}",  # noqa: S608 (ditto)
        ids,
    ):
        if configs.get(name) == config:
            states[track_id][name] = enrolled[name]
    return states


def _track(
    row: Row, locations: Sequence[tuple[bytes, int]], states: tuple[IdentifierState, ...]
) -> Track:
    (
        track_id,
        title,
        artist,
        album,
        genre,
        year,
        number,
        duration_s,
        warning,
        cover,
        added,
        last,
    ) = row
    paths = [decode_path(path) for path, _ in locations]
    first = next((at for at, (_, is_present) in enumerate(locations) if is_present), None)
    home = paths[first or 0] if paths else decode_path(last or b"?")
    return Track(
        track_id=track_id,
        path=home,
        tags=Tags(title, artist, album, genre, year, number),
        duration_s=duration_s,
        locations=tuple(paths),
        is_missing=first is None,
        warning=warning,
        states=states,
        has_cover=cover is not None,
        added_at=added,
    )
