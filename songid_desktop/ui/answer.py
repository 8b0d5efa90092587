"""The answer panel: words and number, the track, where the music is now, and the other candidates.

It is told what to show and knows no devices: `show_words` for a state, `show_look` for an answer,
`tick` for the clock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontMetrics, QImage, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from songid_desktop.types import Match, Track
from songid_desktop.ui import announce, icons, theme
from songid_desktop.ui.answer_words import Action, Words
from songid_desktop.ui.candidates import CandidateList, Row
from songid_desktop.ui.controls import (
    ElidedLabel,
    IconLabel,
    button,
    column,
    divider,
    label,
    row,
)
from songid_desktop.ui.cover import Cover
from songid_desktop.ui.similarity_curve import SimilarityCurve
from songid_desktop.ui.theme import Gap, Size, Type
from songid_desktop.ui.wording import clock, joined


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """The button of an action."""

    label: str
    tooltip: str
    icon: str


ACTIONS = {
    Action.PLAY: ActionSpec("Play from here", "Play your copy in step with what is heard", "play"),
    Action.ADD_FOLDER: ActionSpec(
        "Add folder", "Add a folder of music to your library", "folder-add"
    ),
    Action.DEMO: ActionSpec("Try demo tunes", "Make a few tunes and recognise them", "demo"),
    Action.KEEP_CLIP: ActionSpec(
        "Keep this clip", "Save the last 15 seconds and note them", "keep"
    ),
    Action.OPEN_FILE: ActionSpec(
        "Open audio file…", "Name the music of a file (Ctrl+O)", "file-audio"
    ),
    Action.CHOOSE_SOURCE: ActionSpec("Choose a source", "Listen somewhere else", "microphone"),
    Action.SOUND_SETTINGS: ActionSpec("Sound settings", "Open the system's sound settings", "gear"),
    Action.LIBRARY: ActionSpec("Open library", "Go to your library (Ctrl+2)", "library"),
    Action.RETRY: ActionSpec("Try again", "Read the library again", "refresh"),
    Action.PREPARE: ActionSpec(
        "Prepare my library", "Let this identifier learn your tracks, in the background", "library"
    ),
    Action.MODELS: ActionSpec("Models…", "See and install the models of the identifiers", "gear"),
}
STOP_PLAYING = ActionSpec("Stop playing", "Stop playing your copy", "stop")
_SIGN = 40
PLAYED_OUT_S = 2.0
"""So long after its end a track is no longer said to be playing."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its track the music is: at Unix time `at`, at `seconds`; `speed` seconds of the
    track go by in one."""

    seconds: float
    at: float
    is_running: bool
    speed: float = 1.0

    def now(self) -> float:
        return self.seconds + ((time.time() - self.at) * self.speed if self.is_running else 0.0)


class AnswerPanel(QFrame):
    """320 to 400 px at the right of the Listen page."""

    action_chosen = Signal(str)
    """An Action."""
    candidate_activated = Signal(int)
    """Track id of a candidate to play."""

    def __init__(self, foot: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.set_role(self, "surface")
        self.setAccessibleName("Answer")
        self._words = Words("")
        self._track: Track | None = None
        self._place: Place | None = None
        self._offset_error_s: float | None = None
        self._is_playing = False
        self._announced = ""
        self._build(foot)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.fit(0)

    def fit(self, page_width: int) -> None:
        """Take about a third of the page, within limits."""
        self.setFixedWidth(min(Size.PANEL_MAX, max(Size.PANEL_MIN, round(page_width * 0.36))))
        self._fit_heading()

    def _fit_heading(self) -> None:
        """A name's sureness and number stand in one line, in the largest size that fits: what is
        below must not jump when "Likely" becomes "Almost certain"."""
        words, size = self._words, Type.ANSWER
        if words.number:
            room = self.width() - 2 * Gap.L - Gap.M - 2
            while size > Type.TITLE and self._wide(words, size) > room:
                size -= 1
        for each in (self.heading, self.number):
            theme.set_font(each, size, Type.STRONG)

    @staticmethod
    def _wide(words: Words, size: int) -> int:
        metrics = QFontMetrics(theme.font(size, Type.STRONG))
        return metrics.horizontalAdvance(words.heading) + metrics.horizontalAdvance(words.number)

    def _build(self, foot: QWidget) -> None:
        self.sign = IconLabel("", "muted", _SIGN)
        self.heading = label("", size=Type.ANSWER, strong=True, wraps=True)
        self.number = label("", size=Type.ANSWER, strong=True)
        self.number.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        top = row(gap=Gap.M)
        top.addWidget(self.heading, 1)
        top.addWidget(self.number, 0, Qt.AlignmentFlag.AlignTop)
        self.line = label("", "muted", wraps=True)
        self.line.setMinimumWidth(0)
        self.curve = SimilarityCurve()
        self.action_buttons = [self._action_button() for _ in range(2)]
        buttons = row(gap=Gap.S)
        for each in self.action_buttons:
            buttons.addWidget(each)
        buttons.addStretch(1)
        self.candidates = CandidateList()
        self.candidates.activated.connect(self.candidate_activated)
        self._line_above = divider()
        layout = column(Gap.L, gap=Gap.M)
        layout.addWidget(self.sign)
        layout.addLayout(top)
        layout.addWidget(self._build_card())
        layout.addWidget(self.line)
        layout.addWidget(self.curve)
        layout.addLayout(buttons)
        layout.addSpacing(Gap.XS)
        layout.addWidget(self._line_above)
        layout.addWidget(self.candidates, 1)
        layout.addStretch(0)
        layout.addWidget(foot)
        self.setLayout(layout)

    def _build_card(self) -> QWidget:
        self.cover = Cover()
        self.title = ElidedLabel(size=Type.CARD, strong=True)
        self.artist = ElidedLabel(role="muted")
        self.now = label("")
        self.now.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
        names = column(gap=Gap.XS)
        names.addStretch(1)
        for each in (self.title, self.artist, self.now):
            names.addWidget(each)
        names.addStretch(1)
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(Gap.L)
        line.addWidget(self.cover)
        line.addLayout(names, 1)
        self.card = QWidget()
        self.card.setLayout(line)
        self.card.setFixedHeight(Size.COVER)
        return self.card

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.curve.fit(self.height())

    def _action_button(self) -> QPushButton:
        made = button("", "What to do next")
        made.setAccessibleName("What to do next")
        made.clicked.connect(lambda: self.action_chosen.emit(made.property("songidAction")))
        return made

    # What is shown

    @property
    def words(self) -> Words:
        return self._words

    @property
    def track(self) -> Track | None:
        """The track that is named, if any."""
        return self._track

    @property
    def place(self) -> Place | None:
        """Where in it the music is."""
        return self._place

    def show_words(self, words: Words, *, keep_candidates: bool = False) -> None:
        """A state without a track."""
        self._track = None
        self._place = None
        self._say(words)
        self.card.hide()
        self.curve.show_curve(None)
        if not keep_candidates:
            self.show_candidates((), {}, {})

    def show_naming(
        self, words: Words, track: Track, image: QImage | None, match: Match, place: Place
    ) -> None:
        """The track that is heard."""
        self._track = track
        self._place = place
        self._offset_error_s = match.offset_error_s
        self.title.setText(track.title)
        self.artist.setText(joined([track.artist, track.tags.album]) or "Unknown artist")
        self.cover.show_title(track.title)
        if image is not None:
            self.cover.show_image(image)
        self._say(words)
        self.card.show()
        self.curve.show_curve(match.evidence.similarity_curve)
        self.tick()

    def show_candidates(
        self,
        matches: Sequence[Match],
        tracks: Mapping[int, Track],
        images: Mapping[int, QImage],
    ) -> None:
        """The ranked rest."""
        rows = [
            Row(
                match.track_id,
                match.rank,
                tracks[match.track_id].title,
                joined([tracks[match.track_id].artist, tracks[match.track_id].tags.album]),
                match.confidence,
                f"{match.score:.4g} {match.score_unit}, at {clock(max(0.0, match.offset_s))}",
                images.get(match.track_id),
            )
            for match in matches
            if match.track_id in tracks
        ]
        self.candidates.show_rows(rows)
        self._line_above.setVisible(bool(rows))
        self.candidates.setVisible(True)

    def set_playing(self, *, is_playing: bool) -> None:
        """Own playback began or ended."""
        if is_playing != self._is_playing:
            self._is_playing = is_playing
            self._fill_actions()

    def tick(self) -> None:
        """Move "now at" on."""
        place = self._place
        if place is None or self._track is None:
            return
        seconds = place.now()
        is_over = seconds > self._track.duration_s + PLAYED_OUT_S
        if place.is_running and not is_over:
            text = f"now at {clock(int(max(0.0, seconds)))}"
        else:
            text = f"heard at {clock(int(max(0.0, place.seconds)))}"
        if text != self.now.text():
            self.now.setText(text)
            self.now.setAccessibleName(text)
        error = self._offset_error_s
        length = f"of {clock(self._track.duration_s)}"
        self.now.setToolTip(length if error is None else f"{length}, to within {error:.2g} s")

    def _say(self, words: Words) -> None:
        if words == self._words:
            return
        self._words = words
        theme.set_role(self.heading, "" if words.role == "text" else words.role)
        self._fit_heading()
        self.heading.setText(words.heading)
        self.sign.set_icon(words.icon, "muted" if words.role == "text" else words.role)
        self.sign.setVisible(bool(words.icon) and not words.is_naming)
        self.number.setText(words.number)
        self.number.setVisible(bool(words.number))
        self.number.setAccessibleName(f"Probability {words.number}")
        self.line.setText(words.line)
        self.line.setVisible(bool(words.line))
        self._fill_actions()
        said = joined([words.heading, words.number], " ")
        if said != self._announced:
            self._announced = said
            title = self._track.title if words.is_naming and self._track else words.line
            announce.say(self, f"{said}. {title}")

    def _fill_actions(self) -> None:
        wanted = (self._words.action, self._words.second_action)
        for made, action in zip(self.action_buttons, wanted, strict=True):
            made.setVisible(action is not Action.NONE)
            if action is Action.NONE:
                continue
            spec = ACTIONS[action]
            if action is Action.PLAY and self._is_playing:
                spec = STOP_PLAYING
            made.setProperty("songidAction", action.value)
            made.setText(spec.label)
            made.setAccessibleName(spec.label)
            made.setToolTip(spec.tooltip)
            icons.set_icon(made, spec.icon)
