import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.identify.calibration import MATCH_AT, UNSURE_AT, Lead, load
from songid_desktop.paths import resource

scores = st.floats(0.0, 80.0)


def lead(score, rival, seconds, elsewhere=3.0, count=30, **more):
    """A lead over rivals that fall off from the best one."""
    rivals = tuple(rival * 0.98**n for n in range(count))
    known = {"votes": 20, "other_votes": 20, "shared": 0.3, "rival_shared": 0.2, **more}
    return Lead(score, elsewhere, 2.0, rivals, seconds, **known)


@given(score=scores, more=st.floats(0.0, 40.0), rival=scores, seconds=st.floats(0.5, 20.0))
def test_a_longer_lead_is_never_less_sure(score, more, rival, seconds):
    curve = load()
    one = curve.probability(lead(score, rival, seconds))
    two = curve.probability(lead(score + more, rival, seconds))
    assert 0.0 <= one <= two <= 1.0


@given(score=scores, rival=scores, more=st.floats(0.0, 40.0), seconds=st.floats(0.5, 20.0))
def test_a_stronger_rival_never_makes_surer(score, rival, more, seconds):
    curve = load()
    assert curve.probability(lead(score, rival + more, seconds)) <= curve.probability(
        lead(score, rival, seconds)
    )


@given(rival=scores, behind=st.floats(0.0, 10.0), seconds=st.floats(0.5, 20.0))
def test_who_does_not_lead_has_half_at_most(rival, behind, seconds):
    assert load().probability(lead(rival - behind, rival, seconds)) <= 0.5


def test_who_leads_in_votes_alone_is_not_sure():
    assert load().probability(lead(20.0, 20.0, 5.0, votes=60, other_votes=20)) < MATCH_AT


def test_a_lonely_track_needs_a_score_of_its_own():
    assert load().probability(Lead(6.0, 0.0, 0.0, (), 5.0)) < UNSURE_AT
    assert load().probability(Lead(40.0, 2.0, 2.0, (), 5.0, 60, shared=0.6)) > MATCH_AT


@given(score=scores, rival=scores, votes=st.integers(0, 400), more=st.integers(0, 400))
def test_more_votes_never_make_less_sure(score, rival, votes, more):
    curve = load()
    one = curve.probability(lead(score, rival, 5.0, votes=votes))
    assert one <= curve.probability(lead(score, rival, 5.0, votes=votes + more))


@given(score=scores, rival=scores, other=st.integers(0, 400), more=st.integers(0, 400))
def test_more_votes_for_another_track_never_make_surer(score, rival, other, more):
    curve = load()
    one = curve.probability(lead(score, rival, 5.0, votes=100, other_votes=other))
    assert one >= curve.probability(lead(score, rival, 5.0, votes=100, other_votes=other + more))


@given(shared=st.floats(0.0, 1.0), more=st.floats(0.0, 1.0), rival=st.floats(0.0, 1.0))
def test_more_shared_peaks_never_make_less_sure(shared, more, rival):
    curve = load()
    one = curve.probability(lead(14.0, 10.0, 3.0, shared=shared, rival_shared=rival))
    two = curve.probability(lead(14.0, 10.0, 3.0, shared=shared + more, rival_shared=rival))
    assert one <= two


@given(beside=st.floats(0.0, 40.0), more=st.floats(0.0, 40.0), shared=st.floats(0.0, 1.0))
def test_what_fits_at_other_pitches_too_never_makes_surer(beside, more, shared):
    def at(level):
        return load().probability(replace(lead(40.0, 10.0, 5.0), beside=level, shared=shared))

    assert at(beside + more) <= at(beside)


def test_drums_in_common_are_no_match_unless_the_rest_is_there_too():
    few = replace(lead(17.0, 6.3, 5.0, votes=60, other_votes=10), beside=6.5)
    many = replace(lead(22.0, 9.5, 5.0, votes=425, other_votes=14), beside=9.1)
    for drums in (few, many):
        assert load().probability(replace(drums, shared=0.35)) < UNSURE_AT
        assert load().probability(replace(drums, shared=0.95)) > MATCH_AT
    loud = replace(lead(40.0, 10.0, 5.0), beside=20.0, votes=200)
    assert load().probability(replace(loud, shared=0.35)) < MATCH_AT


def test_percussive_music_in_a_room_is_known_by_how_far_it_stands_above_its_drums():
    loud = replace(lead(34.0, 9.0, 5.0, votes=133, other_votes=16), beside=10.0)
    assert load().probability(replace(loud, shared=0.4)) > MATCH_AT


def test_nothing_is_certain():
    assert load().probability(Lead(500.0, 0.0, 0.0, (), 15.0, 10_000)) < 1.0


@given(score=scores, rival=scores, seconds=st.floats(0.5, 20.0), count=st.integers(0, 29))
def test_fewer_rivals_make_no_surer_than_typical_ones(score, rival, seconds, count):
    curve = load()
    typical = curve.typical_rival[0] + curve.typical_rival[1] * np.log(seconds)
    few = lead(score, rival, seconds, count=count)
    full = Lead(
        few.score,
        few.elsewhere,
        few.beside,
        few.rivals + (typical,) * (30 - count),
        seconds,
        few.votes,
        few.other_votes,
        few.shared,
        few.rival_shared,
    )
    assert curve.probability(few) <= curve.probability(full) + 1e-9


def test_the_shipped_numbers_say_where_they_come_from():
    data = json.loads(resource("calibration", "landmark.json").read_text(encoding="utf-8"))
    provenance = data["provenance"]
    for key in ("command", "date", "roles", "noise_and_rooms", "figures"):
        assert provenance[key]


def test_another_file_can_be_used(tmp_path):
    data = json.loads(resource("calibration", "landmark.json").read_text(encoding="utf-8"))
    path = tmp_path / "other.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    assert load(path) == load()
    with pytest.raises(OSError, match=r"."):
        load(tmp_path / "none.json")


def test_thresholds_are_in_order():
    assert 0.0 < UNSURE_AT < MATCH_AT < 1.0
    assert np.isfinite(load().probability(Lead(1e9, -1e9, 0.0, (), 1e9)))
