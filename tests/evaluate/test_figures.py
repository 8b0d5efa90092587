import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.evaluate import figures
from songid_desktop.evaluate.figures import Share, calibration, cmc, condition_order, wilson
from songid_desktop.evaluate.results import CLIP, SESSION, Record


def record(**values):
    given = {
        "kind": CLIP,
        "identifier": "landmark",
        "build": "b",
        "condition": "clean",
        "length_s": 5.0,
        "track": "a",
        "draw": 0,
        "is_enrolled": True,
        "verdict": "match",
        "best": "a",
    }
    return Record(**(given | values))


counts = st.integers(0, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_an_interval_holds_its_share(pair):
    count, total = pair
    low, high = wilson(count, total)
    assert 0.0 <= low <= (count / total if total else 0.0) + 1e-12
    assert (count / total if total else 1.0) - 1e-12 <= high <= 1.0


@given(counts)
def test_intervals_mirror_and_narrow(pair):
    count, total = pair
    low, high = wilson(count, total)
    other_low, other_high = wilson(total - count, total)
    assert (1 - other_high, 1 - other_low) == pytest.approx((low, high), abs=1e-9)
    if total:
        wide = high - low
        more_low, more_high = wilson(4 * count, 4 * total)
        assert more_high - more_low < wide


def test_the_interval_is_wilsons():
    assert wilson(0, 1000) == pytest.approx((0.0, 0.003827), abs=1e-5)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)  # Newcombe 1998
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.lists(st.one_of(st.none(), st.integers(1, 20)), min_size=1, max_size=60))
def test_the_cumulative_curve_only_rises(ranks):
    records = [record(rank=rank) for rank in ranks]
    curve = cmc(records)
    assert len(curve) == 20
    assert all(a <= b for a, b in itertools.pairwise(curve))
    assert curve[0] == pytest.approx(sum(r == 1 for r in ranks) / len(ranks))
    assert curve[-1] == pytest.approx(sum(r is not None for r in ranks) / len(ranks))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_calibration_error_lies_between_none_and_all(answers):
    said, was = zip(*answers, strict=True)
    found = calibration(said, was)
    assert 0.0 <= found.error <= 1.0
    assert sum(found.counts) == len(answers)
    # Over all answers together the distance can't be larger than bin by bin.
    assert abs(np.mean(said) - np.mean(was)) <= found.error + 1e-9


def test_calibration_error_of_the_honest_and_of_the_liar():
    rng = np.random.default_rng(0)
    said = rng.random(40_000)
    assert calibration(said.tolist(), (rng.random(40_000) < said).tolist()).error < 0.02
    assert calibration([1.0] * 10, [False] * 10).error == 1.0
    assert calibration([], []).error == 0.0


def test_cells_count_what_was_answered_and_nothing_else():
    records = [
        record(rank=1, offset_error_s=0.01),
        record(rank=1, verdict="unsure", offset_error_s=-0.03, track="b"),
        record(rank=4, track="c"),
        record(rank=None, verdict="unsure", track="d"),
        record(rank=None, verdict="no_match", track="e", best=""),
        record(verdict="skipped", track="f"),
        record(is_enrolled=False, condition="absent_clean"),
        record(kind=SESSION),
    ]
    (cell,) = figures.cells(records)
    assert cell.top1 == Share(2, 5)
    assert cell.top5 == Share(3, 5)
    assert cell.match_right == Share(1, 5)
    assert cell.match_wrong == Share(1, 5)
    assert cell.unsure_wrong == Share(1, 5)
    assert cell.skipped == 1
    assert cell.offset_s == pytest.approx((0.02, 0.029), abs=1e-6)


def test_false_answers_count_every_absent_clip():
    records = [
        record(is_enrolled=False, condition="absent_clean", verdict=verdict, draw=draw)
        for draw, verdict in enumerate(["match", "unsure", "unsure", "no_match", "no_signal"])
    ]
    (one,) = figures.false_answers(records)
    assert (one.match, one.unsure) == (Share(1, 5), Share(2, 5))
    assert figures.all_false_answers(records, "landmark") == (Share(1, 5), Share(2, 5))
    assert figures.all_false_answers(records, "other") == (Share(0, 0), Share(0, 0))


def test_sessions_tell_how_soon():
    records = [
        record(kind=SESSION, rank=1, heard_s=2.0),
        record(kind=SESSION, rank=1, heard_s=4.0, track="b"),
        record(kind=SESSION, rank=None, heard_s=3.0, track="c"),
        record(kind=SESSION, is_enrolled=False, verdict="match", track="d"),
        record(kind=SESSION, is_enrolled=False, verdict="no_match", track="e"),
    ]
    (one,) = figures.sessions(records)
    assert one.false_match == Share(1, 2)
    assert (one.found_right, one.found_wrong) == (Share(2, 3), Share(1, 3))
    assert one.until_match_s == pytest.approx((3.0, 3.9))


def test_conditions_stand_in_the_protocols_order():
    names = ["tone", "absent_clean", "room0", "white-5", "speed+2", "clean", "white10", "room10"]
    assert condition_order(names) == [
        *("clean", "white10", "white-5", "room10", "room0", "speed+2", "absent_clean", "tone")
    ]


def test_only_the_newest_build_of_an_identifier_counts():
    records = [
        record(build="old"),
        record(identifier="report", build="old"),
        record(build="new", track="b"),
    ]
    kept, builds = figures.newest_builds(records)
    assert [one.track for one in kept] == ["a", "b"]
    assert builds == {"landmark": "new", "report": "old"}


def test_confidences_over_one_are_counted():
    records = [record(total_confidence=1.0), record(total_confidence=1.01)]
    assert figures.too_sure(records) == 1


def test_times_are_multiples_of_the_spectrogram():
    spent = {"landmark": [[20.0, 10.0], [30.0, 20.0]], "stft": [[2.0, 1.0], [2.0, 1.0]]}
    (cost,) = figures.times({"times": {"found": spent}})
    assert cost.times_stft == pytest.approx(15.0)
    assert cost.p50_ms == pytest.approx(25.0)
    assert figures.times({}) == []
    assert figures.times({"times": {"found": {"landmark": [], "stft": []}}}) == []


confidences = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=80)


@given(absent=confidences, there=confidences, share=st.sampled_from([0.001, 0.01, 0.1, 0.5]))
def test_no_more_absent_clips_pass_than_the_share_says(absent, there, share):
    records = [record(is_enrolled=False, confidence=one) for one in absent]
    records += [record(rank=1, confidence=one) for one in there]
    found = figures.recalls(records, share)
    assert len(found) == 1
    assert sum(one > found[0].threshold for one in absent) <= share * len(absent)
    assert found[0].right == Share(sum(one > found[0].threshold for one in there), len(there))
    stricter = figures.recalls(records, share / 10)[0]
    assert stricter.right.count <= found[0].right.count


def test_there_is_no_recall_without_absent_clips():
    assert figures.recalls([record(rank=1, confidence=0.9)], 0.01) == []
