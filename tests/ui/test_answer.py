"""The answer panel: one line of sureness, and the evidence that can be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from songid_desktop.types import Evidence, Match, Tags, Track
from songid_desktop.ui import similarity_curve
from songid_desktop.ui.answer import AnswerPanel, Place
from songid_desktop.ui.answer_words import Words
from songid_desktop.ui.theme import Type
from tests.support import qt
from tests.support.library_window import tree_problems

CURVE = (
    np.linspace(0.0, 4.5, 10, dtype=np.float32),
    np.array([0.1, 0.2, 0.9, 0.8, 0.8, 0.7, 0.8, 0.9, 0.85, 0.8], np.float32),
)


@pytest.fixture
def panel(shown: list[QWidget]) -> AnswerPanel:
    made = AnswerPanel(QWidget())
    shown.append(made)
    made.fit(1000)
    qt.show(made, 360, 760)
    return made


def name(panel: AnswerPanel, heading: str, curve: object = None) -> None:
    """Name a track."""
    track = Track(1, Path("/m/a.flac"), Tags("A", "B"), 200.0)
    evidence = Evidence("mean cosine 0.72", similarity_curve=curve)  # type: ignore[arg-type]
    match = Match(1, 1, 0.7234567, "mean cosine", 0.999, 3.0, 0.1, "cnn", evidence=evidence)
    words = Words(heading, evidence.summary, number=">99 %", is_naming=True)
    panel.show_naming(words, track, None, match, Place(3.0, 0.0, is_running=False))
    qt.settle()


@pytest.mark.parametrize("page_width", [600, 900, 1000, 1600])
def test_sureness_and_number_stand_in_one_line(panel: AnswerPanel, page_width: int) -> None:
    panel.fit(page_width)
    heights = []
    for heading in ("Likely", "Almost certain", "Maybe"):
        name(panel, heading)
        font = panel.heading.font()
        assert font == panel.number.font()
        assert Type.TITLE <= font.pixelSize() <= Type.ANSWER
        assert QFontMetrics(font).horizontalAdvance(heading) <= panel.heading.width()
        heights.append(panel.card.y())
    assert max(heights) - min(heights) <= Type.ANSWER - Type.TITLE + 4


def test_a_curve_is_drawn_where_the_evidence_has_one(panel: AnswerPanel) -> None:
    name(panel, "Likely", CURVE)
    assert panel.curve.isVisible()
    assert "most alike at 1.0 s" in panel.curve.accessibleDescription()
    assert "From 0.10 to 0.90" in panel.curve.accessibleDescription()
    assert tree_problems(panel) == []
    assert not panel.curve.grab().isNull()
    name(panel, "Likely")
    assert not panel.curve.isVisible()
    name(panel, "Likely", CURVE)
    panel.show_words(Words("Listening…"))
    assert not panel.curve.isVisible()


def test_a_curve_is_read_out_by_pointer_and_keyboard(panel: AnswerPanel) -> None:
    name(panel, "Likely", CURVE)
    curve = panel.curve
    area = curve._picture_area()
    assert curve.readout() == ""
    QTest.mouseMove(curve, QPoint(area.left(), area.center().y()))
    qt.wait_until(lambda: curve.readout() == "0.0 s   0.10")
    curve.setFocus(Qt.FocusReason.TabFocusReason)
    for _ in range(40):
        QTest.keyClick(curve, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert curve.readout() == "4.5 s   0.80"
    assert not curve.grab().isNull()
    QTest.keyClick(curve, Qt.Key.Key_Escape)
    assert curve.readout() == ""


@pytest.mark.parametrize(
    ("from_s", "span_s", "width_px", "marks"),
    [
        (0.0, 4.5, 300, [0.0, 2.0, 4.0]),
        (0.0, 2.0, 300, [0.0, 0.5, 1.0, 1.5, 2.0]),
        (1.2, 14.0, 240, [5.0, 10.0, 15.0]),
        (0.0, 100.0, 100, [float(n) for n in range(0, 101, 10)]),
    ],
)
def test_times_below_the_curve_are_round(
    from_s: float, span_s: float, width_px: int, marks: list[float]
) -> None:
    assert similarity_curve.time_marks(from_s, span_s, width_px) == marks
