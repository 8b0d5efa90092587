"""Ids of listed tracks: the catalog's own order, and the states."""

from __future__ import annotations

from pathlib import Path

import pytest

from songid_desktop.catalog.catalog import ORDERS, Catalog
from songid_desktop.catalog.listing import Shown, track_ids
from songid_desktop.errors import UsageError
from songid_desktop.paths import Paths
from songid_desktop.types import EnrolState, Track
from tests.support.catalog import CheckSum, Refusing, enrol_here, write_song


@pytest.fixture
def library(paths: Paths, tmp_path: Path) -> Paths:
    """Five tracks: two enrolled for both identifiers, one missing, two of a later folder."""
    for number, name in enumerate(("b", "a", "c")):
        write_song(tmp_path / "one" / f"{name}.wav", number)
    enrol_here(paths, tmp_path / "one", fingerprinters=(CheckSum(), CheckSum("second")))
    for number, name in enumerate(("e", "d"), 10):
        write_song(tmp_path / "two" / f"{name}.wav", number)
    enrol_here(paths, tmp_path / "two")
    (tmp_path / "one" / "c.wav").unlink()
    enrol_here(paths, tmp_path / "one")
    return paths


def states_of(track: Track) -> set[EnrolState]:
    return {state.state for state in track.states}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("descending", [False, True])
def test_order_is_the_catalogs(library: Paths, order: str, descending: bool) -> None:
    with Catalog.open(library) as catalog:
        tracks = catalog.tracks(order=order, descending=descending)
        ids = track_ids(catalog, order=order, descending=descending)
    assert ids.tolist() == [track.track_id for track in tracks]
    assert len(ids) == 5


def test_search_narrows_as_the_catalogs_does(library: Paths) -> None:
    with Catalog.open(library) as catalog:
        for text in ("", "one", "two d", "nothing like it", "%"):
            found = [track.track_id for track in catalog.tracks(search=text)]
            assert track_ids(catalog, search=text).tolist() == found


@pytest.mark.parametrize(
    ("shown", "holds"),
    [
        (Shown.ENROLLED, lambda track: EnrolState.ENROLLED in states_of(track)),
        (Shown.PENDING, lambda track: EnrolState.PENDING in states_of(track)),
        (Shown.PROBLEMS, lambda track: EnrolState.FAILED in states_of(track) or track.warning),
        (Shown.MISSING, lambda track: track.is_missing),
    ],
)
def test_states_agree_with_the_tracks(library: Paths, tmp_path: Path, shown, holds) -> None:
    enrol_here(library, tmp_path / "two", fingerprinters=(CheckSum(), Refusing()))
    with Catalog.open(library) as catalog:
        wanted = [track.track_id for track in catalog.tracks() if holds(track)]
        assert track_ids(catalog, shown=shown).tolist() == wanted
        assert 0 < len(wanted) < 6


def test_a_library_of_nothing_lists_nothing(paths: Paths) -> None:
    with Catalog.open(paths) as catalog:
        assert all(len(track_ids(catalog, shown=shown)) == 0 for shown in Shown)


def test_an_unknown_order_is_refused(paths: Paths) -> None:
    with Catalog.open(paths) as catalog, pytest.raises(UsageError, match="colour"):
        track_ids(catalog, order="colour")


def test_states_count_for_the_identifiers_that_are_asked_for(library: Paths) -> None:
    with Catalog.open(library) as catalog:
        both = {track.track_id for track in catalog.tracks() if len(track.states) == 2}
        pending = track_ids(catalog, shown=Shown.PENDING, identifiers=["second"])
        enrolled = track_ids(catalog, shown=Shown.ENROLLED, identifiers=["second"])
        assert set(pending.tolist()) | set(enrolled.tolist()) == both
        assert not set(pending.tolist()) & set(enrolled.tolist())
        assert len(track_ids(catalog, shown=Shown.PENDING, identifiers=["checksum"])) == 0
        assert len(track_ids(catalog, shown=Shown.ENROLLED, identifiers=["checksum"])) == 5


@pytest.mark.parametrize("descending", [False, True])
def test_one_can_order_by_the_states_of_an_identifier(
    library: Paths, tmp_path: Path, descending: bool
) -> None:
    failing = write_song(tmp_path / "three" / "f.wav", 30)
    enrol_here(library, failing, fingerprinters=(CheckSum(), Refusing("second")))
    with Catalog.open(library) as catalog:
        ids = track_ids(catalog, order="state:second", descending=descending)
        tracks = catalog.tracks_by_id(ids.tolist())
    ranks = [
        {EnrolState.ENROLLED: 0, EnrolState.PENDING: 1, EnrolState.FAILED: 2}[
            next(state.state for state in tracks[each].states if state.identifier == "second")
        ]
        for each in ids.tolist()
    ]
    assert ranks == sorted(ranks, reverse=descending)
    assert set(ranks) == {0, 1, 2}


def test_an_identifier_nobody_knows_orders_nothing(library: Paths) -> None:
    with Catalog.open(library) as catalog, pytest.raises(UsageError):
        track_ids(catalog, order="state:ouija")
