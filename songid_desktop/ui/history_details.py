"""The pane beside the history's table: what one play was, and fields to name or note it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from songid_desktop.ui import icons, theme, wording
from songid_desktop.ui.controls import (
    ElidedLabel,
    button,
    column,
    divider,
    icon_button,
    label,
    row,
)
from songid_desktop.ui.history_model import cover_words, heard_words, is_named, sure_words, title_of
from songid_desktop.ui.theme import Gap, Type
from songid_desktop.ui.track_details import WIDTH, CoverLabel, breakable, fact_line, printable

if TYPE_CHECKING:
    from songid_desktop.catalog.records import Play
    from songid_desktop.ui.thumbnails import Thumbnails

NOTE_HEIGHT = 72


class NoteField(QPlainTextEdit):
    """A few lines of text; Tab leaves it, and leaving it saves."""

    committed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setTabChangesFocus(True)
        self.setFixedHeight(NOTE_HEIGHT)
        self.document().setDocumentMargin(Gap.XS)
        theme.set_font(self)
        self.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self and event.type() == QEvent.Type.FocusOut:
            self.committed.emit()
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.committed.emit()
        else:
            super().keyPressEvent(event)


class PlayDetails(QFrame):
    """Shows one Play."""

    edited = Signal(object, str, str)
    """Play, name of the field, its new text."""
    starred = Signal(object)
    delete_wanted = Signal(object)
    play_track_wanted = Signal(object)
    play_clip_wanted = Signal(object)

    def __init__(self, covers: Thumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._play: Play | None = None
        self._shown: Play | None = None
        """The play as the head of the pane has it; `_play` is ahead of it while one is saved."""
        self._playing: Path | None = None
        theme.set_role(self, "card")
        self.setFixedWidth(WIDTH)
        self.setAccessibleName("Details of the chosen play")
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(1, 1, 1, 1)
        whole.addWidget(area)
        body = QWidget()
        self._column = column(Gap.L, gap=Gap.M)
        body.setLayout(self._column)
        area.setWidget(body)
        body.setAutoFillBackground(False)
        self._cover = CoverLabel(covers)
        self._build_head()
        self._build_buttons()
        self._build_fields()
        self._facts = QWidget()
        self._column.addWidget(self._facts)
        self._column.addStretch(1)
        self._delete = button(
            "Delete", "Delete this play (Delete); it can be undone", icon="trash", role="quiet"
        )
        self._delete.clicked.connect(lambda: self.delete_wanted.emit(self._play))
        self._column.addWidget(self._delete, 0, Qt.AlignmentFlag.AlignLeft)

    def _build_head(self) -> None:
        head = row(gap=Gap.M)
        head.addWidget(self._cover, 0, Qt.AlignmentFlag.AlignTop)
        names = column(gap=Gap.XS)
        self._title = label("", size=Type.CARD, strong=True, wraps=True)
        self._title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        names.addWidget(self._title)
        self._artist = label("", wraps=True)
        self._sure = label("", "muted", wraps=True)
        for each in (self._artist, self._sure):
            each.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            names.addWidget(each)
        names.addStretch(1)
        head.addLayout(names, 1)
        self._column.addLayout(head)

    def _build_buttons(self) -> None:
        self.track_button = button("Play from 0:00", "", icon="play")
        self.track_button.clicked.connect(lambda: self.play_track_wanted.emit(self._play))
        self.clip_button = button(
            "Play what was heard", "Play the sound that was kept", icon="wave"
        )
        self.clip_button.clicked.connect(lambda: self.play_clip_wanted.emit(self._play))
        self.star = icon_button("star", "Favourite", "Favourite (Ctrl+D)", self._star)
        plays = column(gap=Gap.S)
        plays.addWidget(self.track_button)
        plays.addWidget(self.clip_button)
        line = row(gap=Gap.S)
        line.addLayout(plays, 1)
        line.addWidget(self.star, 0, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignRight)
        self._column.addLayout(line)

    def _build_fields(self) -> None:
        form = column(gap=Gap.XS)
        self.title_field = QLineEdit()
        self.artist_field = QLineEdit()
        self.note_field = NoteField()
        fields: tuple[tuple[str, QLineEdit | NoteField, str], ...] = (
            ("Title", self.title_field, "title"),
            ("Artist", self.artist_field, "artist"),
            ("Note", self.note_field, "note"),
        )
        for words, field, name in fields:
            caption = label(words, "muted", Type.CAPTION, strong=True)
            caption.setBuddy(field)
            form.addWidget(caption)
            form.addWidget(field)
            field.setAccessibleName(words)
            field.setToolTip(f"{words} of this play; saved when you leave the field")
            theme.set_font(field)
            if isinstance(field, QLineEdit):
                field.setMaxLength(500)
                field.editingFinished.connect(lambda name=name: self._commit(name))
            else:
                field.committed.connect(lambda: self._commit("note"))
            form.addSpacing(Gap.XS)
        self._column.addLayout(form)

    @property
    def shown(self) -> Play | None:
        return self._play

    def show_play(self, play: Play) -> None:
        """Show another play, or the same as it is now; what is being typed stays."""
        if play == self._shown:
            return
        self._shown = play
        is_same = self._play is not None and self._play.play_id == play.play_id
        if not is_same:
            self.commit_all()
        self._play = play
        self._cover.set_play(play.track_id, cover_words(play))
        self._title.setText(breakable(title_of(play)))
        self._title.setAccessibleName(title_of(play))
        self._artist.setText(breakable(play.artist))
        self._artist.setVisible(bool(play.artist))
        self._sure.setText(sure_words(play))
        star = ("star-filled", "warn") if play.is_favourite else ("star", "text")
        icons.set_icon(self.star, *star)
        self.star.setAccessibleName("No longer a favourite" if play.is_favourite else "Favourite")
        self._show_buttons()
        for field, text in ((self.title_field, play.title), (self.artist_field, play.artist)):
            if not (is_same and field.hasFocus()):
                field.setText(text)
                field.setCursorPosition(0)
        if not (is_same and self.note_field.hasFocus()):
            self.note_field.setPlainText(play.note)
        hint = "What was it?" if not is_named(play) else ""
        self.title_field.setPlaceholderText(hint)
        self._show_facts(play)

    def set_playing(self, path: Path | None) -> None:
        """What plays now: its button turns into Stop."""
        self._playing = path
        self._show_buttons()

    @property
    def is_track_playing(self) -> bool:
        play = self._play
        return play is not None and play.path is not None and play.path == self._playing

    @property
    def is_clip_playing(self) -> bool:
        play = self._play
        return play is not None and play.clip is not None and play.clip == self._playing

    def _show_buttons(self) -> None:
        play = self._play
        if play is None:
            return
        at = f"Play from {wording.clock(play.offset_s)}"
        tip = f"{at}: the track itself, from where it was heard (Enter)"
        kept = "Play what was heard"
        kept_tip = "Play the sound that was kept (Shift+Enter)"
        for target, is_on, sign, words, hint in (
            (self.track_button, self.is_track_playing, "play", at, tip),
            (self.clip_button, self.is_clip_playing, "wave", kept, kept_tip),
        ):
            text = "Stop" if is_on else words
            target.setText(text)
            target.setAccessibleName(text)
            target.setToolTip("Stop playing" if is_on else hint)
            icons.set_icon(target, "stop" if is_on else sign)
        self.track_button.setVisible(play.path is not None)
        self.clip_button.setVisible(play.clip is not None)

    def _show_facts(self, play: Play) -> None:
        facts = QWidget()
        lines = column(gap=Gap.S)
        facts.setLayout(lines)
        lines.addWidget(divider())
        when = f"{wording.day(play.started_at)}, {wording.moment(play.started_at)}"
        for name, value in (
            ("When", when),
            ("Heard for", heard_words(play)),
            ("Source", play.source),
            ("Identifier", wording.identifier(play.identifier) if play.identifier else ""),
            ("Album", play.album),
        ):
            if value:
                lines.addLayout(fact_line(name, value))
        if play.path is not None:
            name_line = ElidedLabel(printable(play.path.name), "muted", Type.CAPTION)
            lines.addWidget(name_line)
            name_line.setToolTip(printable(str(play.path)))
        self._column.replaceWidget(self._facts, facts)
        self._facts.deleteLater()
        self._facts = facts

    def edit_title(self) -> None:
        """F2: name it."""
        self.title_field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.title_field.selectAll()

    def commit_all(self) -> None:
        """Save what is being typed."""
        for name in ("title", "artist", "note"):
            self._commit(name)

    def _commit(self, name: str) -> None:
        play = self._play
        if play is None:
            return
        if name == "note":
            text = self.note_field.toPlainText().strip()
        else:
            field = self.title_field if name == "title" else self.artist_field
            text = field.text().strip()
        if text != getattr(play, name):
            # From here on it counts as saved: Enter and leaving the field are one edit.
            changes: dict[str, Any] = {name: text}
            self._play = replace(play, **changes)
            self.edited.emit(play, name, text)

    def _star(self) -> None:
        self.starred.emit(self._play)
