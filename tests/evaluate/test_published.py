"""The report's numbers are shipped whole and are found by our own names of conditions."""

from __future__ import annotations

import itertools

import pytest

from songid_desktop.evaluate import published


@pytest.mark.parametrize(
    ("cell", "accuracy_pct"),
    [
        (("landmark", "white0", 2, "top_1", published.TUNING), 14.6),
        (("landmark", "white20", 5, "top_1", published.TEST), 95.5),
        (("landmark", "clean", 5, "top_1", published.TUNING), 94.0),
        (("landmark", "clean", 5, "top_1", published.TEST), None),
        (("cnn-enhanced", "clean", 5, "top_1", published.TEST), 71.5),
        (("mert-enhanced", "white10", 10, "top_5", published.TEST), 91.0),
        (("mert-enhanced", "room0", 10, "top_5", published.TEST), None),
    ],
)
def test_known_cells(cell, accuracy_pct):
    assert published.find(*cell) == accuracy_pct


def test_every_method_is_there_under_every_condition():
    learned = [name for name in published.LABELS if name != "landmark"]
    for method, metric, length_s in itertools.product(learned, ("top_1", "top_5"), (2, 5, 10)):
        for condition in ("clean", "white20", "white10", "white0"):
            assert published.find(method, condition, length_s, metric) is not None
    assert {row.method for row in published.results()} == set(published.LABELS)


def test_no_cell_stands_twice_and_all_are_shares():
    keys = [(r.method, r.dataset, r.metric, r.condition, r.length_s) for r in published.results()]
    assert len(keys) == len(set(keys))
    assert all(0 <= row.accuracy_pct <= 100 for row in published.results())


def test_five_guesses_are_never_worse_than_one():
    for row in published.results():
        five = published.find(row.method, row.condition, row.length_s, "top_5", row.dataset)
        assert five is None or five >= row.accuracy_pct or row.metric == "top_5"


def test_the_grid_is_whole_and_its_best_cell_is_the_reports():
    cells = published.grid()
    product = set(itertools.product((20, 30, 40), (15, 30, 50), (0.3, 0.5, 0.7)))
    assert {(cell.pns, cell.fan, cell.eth) for cell in cells} == product
    best = max(cells, key=lambda cell: cell.accuracy_pct)
    assert (best.pns, best.fan, best.eth) == (20, 50, 0.3)
    assert best.accuracy_pct == pytest.approx(94.0, abs=0.05)
    assert published.find_cell(40, 15, 0.7).latency_s == pytest.approx(0.566893)
    assert published.find_cell(40, 15, 0.6) is None
