"""The live picture: what is heard stands where and as bright as it should, and scrolls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QMouseEvent
from PySide6.QtTest import QTest

from songid_desktop.audio.ring import Ring
from songid_desktop.types import Constellation, Evidence
from songid_desktop.ui import bridge
from songid_desktop.ui import spectrogram_axes as axes
from songid_desktop.ui.lit_peaks import LitPeaks
from songid_desktop.ui.probe import FrameProbe
from songid_desktop.ui.spectrogram import SpectrogramView
from songid_desktop.ui.spectrogram_picture import Mark, Picture, Scale
from songid_desktop.ui.spectrogram_stream import (
    SPAN_S,
    Shape,
    SpectrogramStream,
)
from songid_desktop.ui.theme import Canvas
from tests.support import qt

RATE = 48_000
BLOCK = 1024


class Stage:
    """A view with a ring that is fed as a microphone would feed it."""

    def __init__(self, jobs, width=560, height=380):
        self.view = SpectrogramView(jobs.run)
        self.ring = Ring(RATE)
        self.position = 0
        qt.show(self.view, width, height)

    def begin(self):
        self.position = self.ring.position
        self.view.begin(self.ring)

    def hear(self, samples):
        for start in range(0, len(samples), BLOCK):
            piece = samples[start : start + BLOCK].astype(np.float32)
            self.ring.write(piece)
            block = self.ring.between(self.position, self.ring.position)
            self.position = self.ring.position
            self.view.push(block)
            self.view.advance(len(piece) / RATE)

    def point(self, value_hz, seconds_ago):
        """Where a frequency and a time stand in the widget."""
        area = self.view._picture_area()
        picture, stream, _right = self.view._shown()
        row = float(stream.axis.row_of(value_hz))
        y = area.bottom() - row * area.height() / picture.height
        return QPoint(round(area.right() + 1 - seconds_ago / SPAN_S * area.width()), round(y))

    def hover(self, point):
        kind = QMouseEvent.Type.MouseMove
        none, mouse = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.NoButton
        event = QMouseEvent(kind, QPointF(point), QPointF(point), mouse, mouse, none)
        self.view.mouseMoveEvent(event)


@pytest.fixture
def jobs():
    made = bridge.Jobs()
    yield made
    assert made.close()


@pytest.fixture
def stage(jobs, shown):
    made = Stage(jobs)
    shown.append(made.view)
    made.begin()
    return made


def tone(value_hz, seconds, level=0.5):
    return level * np.sin(2 * np.pi * value_hz * np.arange(round(seconds * RATE)) / RATE)


class TestAxesInWords:
    @pytest.mark.parametrize(
        ("value", "word"), [(440, "A4 +0 ct"), (261.626, "C4 +0 ct"), (466.164, "A♯4 +0 ct")]
    )
    def test_notes(self, value, word):
        assert axes.note(value) == word

    @given(st.floats(20, 20_000))
    def test_cents_are_never_more_than_half_a_step(self, value_hz):
        cents = int(axes.note(value_hz).split()[1].replace(axes.MINUS, "-"))
        assert -50 <= cents <= 50

    def test_frequencies_and_levels(self):
        assert axes.hertz(500) == "500 Hz"
        assert axes.hertz(2500) == "2.5 kHz"
        assert axes.decibels(-42.4) == f"{axes.MINUS}42 dB"
        assert axes.decibels(None) == ""

    @given(st.floats(100, 3000))
    def test_time_marks_have_room_and_end_now(self, width):
        marks = axes.time_marks(SPAN_S, width)
        assert marks[-1] == 0
        assert marks == sorted(marks, reverse=True)
        steps = -np.diff(marks)
        assert len(marks) < 2 or steps.min() / SPAN_S * width >= min(60, width)


class TestStream:
    def test_the_view_moves_at_constant_speed_over_bursts(self):
        stream = SpectrogramStream(Shape(700, 64, "mel", RATE), 0)
        ring, places = Ring(RATE), []
        due = 0.0
        for frame in range(600):
            due += RATE / 60
            while ring.position + 4096 <= due:  # the device delivers 85 ms at a time
                ring.write(np.zeros(4096, np.float32))
            stream.push(ring.between(stream.position, ring.position))
            places.append(stream.advance(1 / 60))
            assert places[-1] <= stream.column_count
            assert frame < 60 or places[-1] > 0
        steps = np.diff(places[200:])
        assert abs(steps.mean() - 70 / 60) < 0.02
        assert steps.std() < 0.1
        assert steps.min() >= 0

    def test_lost_sound_leaves_time_true(self):
        stream = SpectrogramStream(Shape(480, 64, "mel", RATE), 0)
        ring = Ring(RATE)
        ring.write(np.zeros(RATE, np.float32))
        stream.push(ring.between(0, RATE))
        ring.write(np.zeros(2 * RATE, np.float32))
        columns = stream.push(ring.between(2 * RATE, 3 * RATE))
        assert len(columns) == pytest.approx(2 * RATE / stream.shape.hop, abs=1)
        assert stream.position == 3 * RATE

    def test_sound_that_was_there_already_is_not_drawn_twice(self):
        stream = SpectrogramStream(Shape(480, 64, "mel", RATE), 0)
        ring = Ring(RATE)
        ring.write(np.zeros(RATE, np.float32))
        stream.push(ring.between(0, RATE))
        assert len(stream.push(ring.between(RATE // 4, RATE // 2))) == 0
        assert stream.position == RATE

    @given(st.floats(0.2, 9.0))
    def test_times_and_columns_belong_together(self, time_s):
        stream = SpectrogramStream(Shape(700, 64, "mel", RATE), 12_345)
        column = float(stream.column_of(time_s))
        assert stream.columns.time_of(column) == pytest.approx(time_s, abs=1e-3)


class TestPicture:
    def test_columns_are_kept_in_order_over_the_seam(self):
        picture = Picture(40, 8, Scale(), spare=8)
        for number in range(130):
            picture.add(np.full((1, 8), -float(number), np.float32))
        assert picture.count == 130
        assert (picture.columns()[:, 0] == -np.arange(82, 130)).all()
        assert picture.db_at(129, 3) == -129
        assert picture.db_at(10, 3) is None
        assert picture.db_at(129, 99) is None

    def test_a_palette_recolours_history(self):
        picture = Picture(40, 8, Scale("grey", -100, 0), spare=8)
        picture.add(np.full((40, 8), -50.0, np.float32))
        before = picture._sound_pixels.copy()
        picture.set_scale(Scale("print", -100, 0))
        assert (picture._sound_pixels != before).any()
        assert picture.db_at(20, 2) == -50.0

    @given(st.floats(-200, 100), st.floats(-120, -20), st.floats(15, 90))
    def test_any_level_gets_a_colour_of_the_palette(self, level, low, span):
        scale = Scale("viridis", low, low + span)
        words = scale.colours(np.full((1, 1), level, np.float32))
        from songid_desktop.ui import colormaps

        assert words[0, 0] in colormaps.words("viridis")

    def test_old_marks_are_forgotten(self):
        picture = Picture(40, 8, Scale(), spare=8)
        for start in range(0, 4000, 40):
            picture.add(np.full((40, 8), -50.0, np.float32))
            picture.add_peaks([Mark(start + 10.0, 4.0)])
        assert picture.mark_counts[0] < 5

    def test_a_copy_is_its_own(self):
        picture = Picture(40, 8, Scale(), spare=8)
        picture.add(np.full((40, 8), -50.0, np.float32))
        twin = picture.copy()
        picture.add(np.full((48, 8), -10.0, np.float32))
        assert twin.db_at(20, 1) == -50.0
        assert twin.count == 40


def evidence(count, pair_count=0, seed=0):
    rng = np.random.default_rng(seed)
    peaks = Constellation(
        np.sort(rng.uniform(0, 15, count)).astype("f"), rng.uniform(100, 4000, count).astype("f")
    )
    starts = rng.uniform(0, 14, pair_count)
    pairs = np.stack([starts, starts * 0 + 500, starts + 0.5, starts * 0 + 900], axis=1)
    return Evidence("x", peaks, peaks, pairs.astype("f"))


class TestLitPeaks:
    def test_nothing_is_nothing(self):
        peaks, pairs = LitPeaks().add(Evidence(), 0.0)
        assert len(peaks) == len(pairs) == 0

    def test_a_second_look_at_the_same_sound_adds_nothing(self):
        lit = LitPeaks()
        first = evidence(300, 3000)
        peaks, pairs = lit.add(first, 5.0)
        assert len(peaks) == 300
        assert 700 < len(pairs) <= 900
        peaks, pairs = lit.add(first, 5.01)  # a frame's fraction apart
        assert len(peaks) == 0
        assert len(pairs) < 40

    def test_it_does_not_grow_for_ever(self):
        lit = LitPeaks()
        for look in range(400):
            lit.add(evidence(200, 1000, seed=look), look * 0.5)
        assert len(lit.peaks) < 6000
        assert len(lit.pairs) < 3000


class TestView:
    @pytest.mark.parametrize("axis", ["mel", "log", "linear"])
    def test_a_tone_stands_at_its_frequency(self, stage, axis):
        stage.view.set_axis(axis)
        stage.hear(tone(1000, 1.5))
        qt.wait_until(lambda: stage.view._stream.shape.axis == axis)
        stage.hear(tone(1000, 0.5))
        stage.hover(stage.point(1000, 0.5))
        words = stage.view.readout()
        level = int(words.split(" dB")[0].split()[-1].replace(axes.MINUS, "-"))
        assert level > -12
        stage.hover(stage.point(5000, 0.5))
        assert "kHz" not in stage.view.readout()
        level = int(stage.view.readout().split(" dB")[0].split()[-1].replace(axes.MINUS, "-"))
        assert level < -60

    def test_the_readout_names_frequency_note_level_and_time(self, stage):
        stage.hear(tone(440, 3))
        stage.hover(stage.point(440, 2.0))
        words = stage.view.readout()
        assert "A4" in words
        assert "dB" in words
        assert f"{axes.MINUS}2.0 s" in words

    def test_silence_before_listening_reads_nothing(self, jobs, shown):
        stage = Stage(jobs)
        shown.append(stage.view)
        stage.hover(stage.view.rect().center())
        assert stage.view.readout() == ""
        assert not stage.view.grab().isNull()

    def test_matched_peaks_light_up_and_scroll_with_the_sound(self, stage):
        stage.hear(np.random.default_rng(1).normal(0, 1e-4, 4 * RATE))
        peak = Constellation(np.array([2.0], np.float32), np.array([1000.0], np.float32))
        stage.view.add_peaks(peak)
        pair = np.array([[2.0, 1000.0, 2.5, 2000.0]], np.float32)
        stage.view.show_match(Evidence("x", peak, peak, pair), 0.0)
        assert stage.view._picture.mark_counts == (1, 1, 1)
        gold = QColor(Canvas.MATCHED)

        def gold_place():
            image = stage.view.grab().toImage()
            image = image.convertToFormat(image.Format.Format_RGB32)
            words = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), -1)
            parts = [(words >> shift & 255).astype(int) for shift in (16, 8, 0)]
            off = sum(abs(a - b) for a, b in zip(parts, gold.getRgb()[:3], strict=True))
            tall, wide = np.nonzero(off < 40)
            return (wide.mean(), tall.mean()) if len(wide) else None

        first = gold_place()
        stage.hear(np.random.default_rng(2).normal(0, 1e-4, RATE))
        second = gold_place()
        width = stage.view._picture_area().width()
        assert first[0] - second[0] == pytest.approx(width / SPAN_S, abs=3)
        assert first[1] == pytest.approx(second[1], abs=1)
        stage.view.clear_match()
        assert gold_place() is None
        assert stage.view._picture.mark_counts == (1, 0, 0)

    def test_the_constellation_can_be_put_away(self, stage):
        stage.hear(np.zeros(2 * RATE))
        plain = stage.view.grab().toImage()
        stage.view.add_peaks(Constellation(np.array([1.0], "f"), np.array([900.0], "f")))
        assert stage.view.grab().toImage() != plain
        stage.view.set_marks_shown(shown=False)
        assert stage.view.grab().toImage() == plain

    def test_freezing_holds_the_picture_while_listening_goes_on(self, stage):
        stage.hear(tone(700, 3))
        stage.view.set_frozen(frozen=True)
        held = stage.view.grab().toImage()
        stage.hear(tone(3000, 3))
        assert stage.view.grab().toImage() == held
        stage.view.set_frozen(frozen=False)
        assert stage.view.grab().toImage() != held
        stage.hover(stage.point(3000, 1.0))
        level = int(stage.view.readout().split(" dB")[0].split()[-1].replace(axes.MINUS, "-"))
        assert level > -12

    def test_a_new_size_keeps_history(self, stage):
        stage.hear(tone(1000, 5))
        stage.view.resize(800, 500)
        area = stage.view._picture_area()
        qt.wait_until(lambda: stage.view._stream.shape.width == area.width())
        stage.hover(stage.point(1000, 4.0))
        level = int(stage.view.readout().split(" dB")[0].split()[-1].replace(axes.MINUS, "-"))
        assert level > -12
        stage.hear(tone(1000, 0.5))
        assert stage.view._stream.position == stage.ring.position

    def test_ending_says_when(self, stage):
        stage.hear(tone(1000, 1))
        assert stage.view._edge_word() == "now"
        stage.view.end()
        assert stage.view._edge_word().count(":") == 2
        assert not stage.view.is_live

    def test_a_new_listening_starts_clean(self, stage):
        stage.hear(tone(1000, 2))
        stage.view.add_peaks(Constellation(np.array([1.0], "f"), np.array([900.0], "f")))
        stage.begin()
        assert stage.view._picture.count == 0
        assert stage.view._picture.mark_counts == (0, 0, 0)

    def test_arrows_read_the_picture_out(self, stage):
        stage.hear(tone(1000, 2))
        stage.view.setFocus()
        QTest.keyClick(stage.view, Qt.Key.Key_Up)
        first = stage.view.readout()
        assert first
        QTest.keyClick(stage.view, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
        assert stage.view.readout() != first
        QTest.keyClick(stage.view, Qt.Key.Key_Escape)
        assert stage.view.readout() == ""

    @pytest.mark.parametrize("scale", [1.0, 2.0])
    def test_the_saved_picture_has_axes_and_sound(self, stage, scale, tmp_path):
        from PySide6.QtGui import QImage

        from songid_desktop.ui.picture_save import write

        stage.hear(tone(1000, 5))
        image = stage.view.render_image(scale)
        assert image.width() == round(stage.view.width() * scale)
        path = tmp_path / "picture.png"
        write(image, path)
        again = QImage(str(path))
        assert again.size() == image.size()
        colours = {
            again.pixelColor(x, y).name() for x in range(0, 500, 7) for y in range(0, 300, 7)
        }
        assert len(colours) > 10

    def test_saving_where_one_cannot_says_so(self, stage, tmp_path):
        from songid_desktop.errors import EnvironmentProblem
        from songid_desktop.ui.picture_save import write

        with pytest.raises(EnvironmentProblem, match="could not be saved"):
            write(stage.view.render_image(1.0), tmp_path / "no" / "such" / "place.png")

    def test_a_frame_is_cheap(self, stage):
        stage.view.probe = FrameProbe()
        rng = np.random.default_rng(3)
        stage.hear(rng.normal(0, 0.05, 2 * RATE))
        for _ in range(60):
            stage.hear(rng.normal(0, 0.05, 800))
            stage.view.repaint()
        summary = stage.view.probe.summary()["paint"]
        assert summary["count"] >= 60
        assert summary["median_ms"] < 8.0
        assert math.isfinite(summary["p99_ms"])
