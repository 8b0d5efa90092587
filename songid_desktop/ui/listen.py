"""The Listen page: composes source, meter, picture, big button and answer, and passes what one of
them says to the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeyEvent, QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import QFileDialog, QGridLayout, QStackedWidget, QWidget

from songid_desktop.audio import levels
from songid_desktop.settings import Settings
from songid_desktop.types import AudioBlock
from songid_desktop.ui import answer_words
from songid_desktop.ui.answer import AnswerPanel
from songid_desktop.ui.answer_words import Action
from songid_desktop.ui.controls import CheckBox, button, column, icon_button, row
from songid_desktop.ui.identifiers import MODELS_PAGE
from songid_desktop.ui.listen_banner import DeviceBanner
from songid_desktop.ui.listen_button import ListenButton
from songid_desktop.ui.listen_control import ListenControl
from songid_desktop.ui.listen_foot import ListenFoot
from songid_desktop.ui.listen_results import ListenResults
from songid_desktop.ui.listen_state import ListenState
from songid_desktop.ui.meter import LevelMeter, share
from songid_desktop.ui.picture_bar import PictureBar
from songid_desktop.ui.services import Services
from songid_desktop.ui.source_choice import SourceChooser
from songid_desktop.ui.spectrogram import SpectrogramView
from songid_desktop.ui.theme import Gap

if TYPE_CHECKING:
    from songid_desktop.audio.capture import CaptureStatus
    from songid_desktop.audio.ring import Ring
    from songid_desktop.evaluate.demo import DemoScene
    from songid_desktop.ui.file_batch import FileBatch

TEXT_MS = 100


class ListenPage(QWidget):
    """See the module."""

    title = "Listen"
    icon_name = "listen"
    shortcuts = (
        ("F", "Freeze the picture, or let it go on"),
        ("Ctrl+S", "Save the picture as PNG"),
        ("K", "Keep the last 15 seconds as a clip"),
        ("C", "Continuous mode"),
        ("Arrows", "Read the picture out, with the focus on it; Shift for larger steps"),
    )

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self.control = ListenControl(services, self)
        self._build()
        self.results = ListenResults(services, self.control, self.answer, self.spectrogram)
        self.batch: FileBatch | None = None
        self._connect()
        self._text_timer = QTimer(self)
        self._text_timer.setInterval(TEXT_MS)
        self._text_timer.timeout.connect(self._tick_text)
        self._show_settings(services.settings)
        self.button.setFocus()

    # Building

    def _build(self) -> None:
        self.source = SourceChooser(self._services)
        self.meter = LevelMeter()
        self.banner = DeviceBanner()
        self.spectrogram = SpectrogramView(self._services.jobs.run)
        self.picture_bar = PictureBar(self._services)
        self.button = ListenButton()
        self.foot = ListenFoot(self._services.identifiers)
        self.identifier, self.heard_label = self.foot.identifier, self.foot.heard
        self.answer = AnswerPanel(self.foot)
        top = row(gap=Gap.M)
        self.source.setMaximumWidth(280)
        top.addWidget(self.source, 1)
        top.addWidget(self.meter, 1)
        left = column(Gap.L, Gap.M, Gap.L, Gap.M, gap=Gap.S)
        left.addLayout(top)
        left.addWidget(self.banner)
        self.middle = QStackedWidget()
        self.middle.addWidget(self.spectrogram)
        left.addWidget(self.middle, 1)
        left.addWidget(self.picture_bar)
        left.addLayout(self._build_bottom())
        layout = row(gap=0)
        layout.addLayout(left, 1)
        layout.addWidget(self.answer)
        self.setLayout(layout)

    def _build_bottom(self) -> QGridLayout:
        self.open_button = button(
            "Open audio file…", "Name the music of a file", self.choose_file, icon="file-audio",
            role="quiet", shortcut="Ctrl+O",
        )  # fmt: skip
        self.continuous = CheckBox(
            "Continuous", "Go on after a match, one history row for each play (C)"
        )
        self.keep = icon_button(
            "keep", "Keep clip", "Keep the last 15 seconds as a clip", self._keep_last, shortcut="K"
        )
        right = row(gap=Gap.S)
        right.addStretch(1)
        right.addWidget(self.continuous)
        right.addWidget(self.keep)
        left = row(gap=Gap.S)
        left.addWidget(self.open_button)
        left.addStretch(1)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(Gap.XS)
        grid.addLayout(left, 0, 0)
        grid.addWidget(self.button, 0, 1, Qt.AlignmentFlag.AlignCenter)
        grid.addLayout(right, 0, 2)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(2, 1)
        return grid

    def _connect(self) -> None:
        services, control = self._services, self.control
        self.button.clicked.connect(self.toggle)
        self.source.chosen.connect(control.set_source)
        self.continuous.toggled.connect(lambda on: control.set_continuous(is_continuous=on))
        self.picture_bar.freeze_toggled.connect(lambda on: self.spectrogram.set_frozen(frozen=on))
        self.picture_bar.save_requested.connect(self.save_picture)
        self.spectrogram.frozen_changed.connect(lambda on: self.picture_bar.set_frozen(frozen=on))
        self.answer.action_chosen.connect(self._do)
        self.answer.candidate_activated.connect(self.results.play_candidate)
        control.files_asked.connect(self._on_files_asked)
        control.state_changed.connect(self._show_state)
        control.began.connect(self._on_began)
        control.heard.connect(self._on_heard)
        control.peaks.found.connect(self.spectrogram.add_peaks)
        control.device_said.connect(self._on_device)
        control.ended.connect(self._on_ended)
        # What steers the picture goes with it.
        self.middle.currentChanged.connect(lambda at: self.picture_bar.setVisible(at == 0))
        services.settings_changed.connect(self._show_settings)
        services.prepared.connect(self.source.refresh)
        save = QShortcut(QKeySequence("Ctrl+S"), self)
        save.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        save.activated.connect(self.save_picture)

    def _keep_last(self) -> None:
        self.results.keep_last()

    # Keys and outside requests

    def toggle(self) -> None:
        """Listen, or stop."""
        self.control.toggle()

    def listen_key(self, event: QKeyEvent) -> bool:
        """Keys that no other widget wanted; Space and Esc from every page, letters only here."""
        if event.isAutoRepeat():
            return False
        if event.modifiers() not in (
            Qt.KeyboardModifier.NoModifier,
            Qt.KeyboardModifier.KeypadModifier,
        ):
            return False
        if event.key() == Qt.Key.Key_Space:
            self.toggle()
            return True
        if event.key() == Qt.Key.Key_Escape:
            return self._cancel()
        letters = {
            Qt.Key.Key_F: self.picture_bar.freeze.toggle,
            Qt.Key.Key_K: self.results.keep_last,
            Qt.Key.Key_C: self.continuous.toggle,
        }
        run = letters.get(Qt.Key(event.key()))
        if run is None or not self.isVisible():
            return False
        run()
        return True

    def _cancel(self) -> bool:
        if self.control.is_active:
            self.control.stop()
            return True
        if self.control.state is ListenState.FILE:
            self.control.cancel_files()
            self.results.show_idle(is_reset=True)
            return True
        if self.batch is not None and self.batch.is_shown:
            self.batch.close()
            self.take_focus()
            return True
        return False

    def choose_file(self) -> None:
        """Ask for audio files."""
        from songid_desktop.audio.decode import SUPPORTED_SUFFIXES
        from songid_desktop.ui.file_dialog import dress
        from songid_desktop.ui.folder_choice import begin_at

        patterns = " ".join(f"*{suffix}" for suffix in sorted(SUPPORTED_SUFFIXES))
        dialog = QFileDialog(self, "Open audio files", str(begin_at(self._services)))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setOption(QFileDialog.Option.HideNameFilterDetails)
        dialog.setNameFilters([f"Audio files ({patterns})", "All files (*)"])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self._take_files)
        dress(dialog).open()

    def _take_files(self, names: Sequence[str]) -> None:
        files = [Path(name) for name in names]
        if files:
            self._services.change_settings(last_folder=str(files[0].parent))
        self.identify_files(files)

    def identify_files(self, files: Sequence[Path]) -> None:
        """Name the music of files."""
        self.control.identify_files(files)

    def listen_to_file(self, path: Path) -> None:
        """Play a demo tune through a generated room into the listening session."""

        def make() -> object:
            from songid_desktop.evaluate.demo import make_scene

            return make_scene(path if path.is_dir() else path.parent)

        self.answer.show_words(answer_words.starting())
        job = self._services.jobs.run(make)
        job.done.connect(lambda scene: self.control.listen_to_scene(cast("DemoScene", scene)))
        job.failed.connect(self._services.report)

    def stop(self) -> None:
        """The window closes."""
        self.control.close()

    # What the control says

    def _on_began(self, ring: Ring) -> None:
        self.spectrogram.begin(ring)
        self.foot.show_text("")

    def _on_heard(self, block: AudioBlock, elapsed_s: float) -> None:
        if len(block.samples):
            level = levels.measure(block.samples)
            self.meter.take(level, elapsed_s)
            self.button.set_level(share(level.rms_dbfs))
        self.spectrogram.push(block)
        if self.isVisible():
            self.spectrogram.advance(elapsed_s)

    def _on_files_asked(self, files: Sequence[Path], is_more: bool) -> None:
        if self.batch is None:
            from songid_desktop.ui.file_batch import FileBatch

            self.batch = FileBatch(self.control, self.results, self.middle)
        self.batch.take(files, is_more=is_more)

    def _on_device(self, status: CaptureStatus) -> None:
        state, is_active = status.state.value, self.control.is_active
        self.source.show_heard(
            status.source if is_active else None, is_lost=is_active and state == "lost"
        )
        self.banner.show_status(status, is_active=is_active)
        if state == "lost" and is_active:
            self.answer.show_words(answer_words.device_gone(status.message))
        elif state == "running" and self.results.look is None and is_active:
            self.answer.show_words(answer_words.waiting(self.control.heard_s))

    def _on_ended(self) -> None:
        self.spectrogram.end()
        self.meter.clear()
        self.banner.hide()

    def _show_state(self, state: str) -> None:
        active = self.control.is_active
        looks = {"paused": "paused", "idle": "idle", "file": "idle"}
        self.button.set_look(looks.get(state, "listening"))
        self.keep.setEnabled(self.results.can_keep)
        if active and not self._text_timer.isActive():
            self._text_timer.start()
        if state == ListenState.PAUSED:
            self.meter.clear()
        if state == ListenState.STARTING:
            self.answer.show_words(answer_words.starting())
        elif state == ListenState.FILE:
            self._show_file_in_hand()

    def _show_file_in_hand(self) -> None:
        """The first file is announced in large; behind it the last answer stays while one reads
        on."""
        number, total = self.control.file_place
        path = self.control.file_in_hand
        if number <= 1:
            self.answer.show_words(answer_words.reading(path.name if path else ""))
        self.foot.show_text(f"file {max(1, number)} of {total}" if total > 1 else "")

    def _tick_text(self) -> None:
        """Ten times a second: the words that hold a time."""
        self.answer.tick()
        if self.control.is_active:
            heard_s = self.control.heard_s
            self.foot.show_heard(heard_s)
            if self.results.look is None and self.control.state is ListenState.LISTENING:
                self.answer.show_words(answer_words.waiting(heard_s, self.foot.opening))
        elif self.answer.place is None or not self.answer.place.is_running:
            self._text_timer.stop()

    def _show_settings(self, settings: Settings) -> None:
        self.spectrogram.set_axis(settings.axis)
        self.spectrogram.set_scale(settings.palette, settings.range_low_db, settings.range_high_db)
        self.spectrogram.set_marks_shown(shown=settings.show_constellation)
        self.continuous.blockSignals(True)
        self.continuous.setChecked(settings.continuous)
        self.continuous.blockSignals(False)

    # Actions

    def _do(self, action: str) -> None:
        services = self._services
        identifiers = services.identifiers
        run: Callable[[], object] | None = {
            Action.PLAY: self.results.play_or_stop,
            Action.ADD_FOLDER: lambda: services.ask_library("add_folder"),
            Action.DEMO: lambda: services.ask_library("try_demo"),
            Action.KEEP_CLIP: self.results.keep_last,
            Action.OPEN_FILE: self.choose_file,
            Action.CHOOSE_SOURCE: self.source.open_menu,
            Action.SOUND_SETTINGS: self._open_sound_settings,
            Action.LIBRARY: lambda: services.show_page("library"),
            Action.RETRY: services.refresh_counts,
            Action.PREPARE: lambda: identifiers.prepare(identifiers.chosen_name),
            Action.MODELS: lambda: services.show_page(MODELS_PAGE),
        }.get(Action(action))
        if run is not None:
            run()

    def _open_sound_settings(self) -> None:
        from songid_desktop.ui import sound_settings

        if not sound_settings.open_settings():
            self._services.notify(
                "The system's sound settings can't be opened from here. Open them yourself, or "
                "choose another source.",
                kind="warn",
            )
            self.source.open_menu()

    def save_picture(self) -> None:
        """Ask for a name and save the picture as PNG."""
        from songid_desktop.ui import picture_save

        picture_save.ask_and_save(self._services, self.spectrogram.render_image(), self)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.answer.fit(self.width())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.control.set_visible(is_visible=True)

    def take_focus(self) -> None:
        """The big button."""
        self.button.setFocus(Qt.FocusReason.OtherFocusReason)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.control.set_visible(is_visible=False)
