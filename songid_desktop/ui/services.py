"""What every page is given: paths, settings, background jobs, and the long-lived machinery.

Nothing heavy is imported or started by making a `Services`; `prepare` does that on a background
thread after the first frame, and `prepared` fires when capture, worker and player may be used.
Signals fire on the GUI thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from songid_desktop import settings as settings_store
from songid_desktop.errors import Cancelled, EnvironmentProblem, SongIDError
from songid_desktop.paths import Paths
from songid_desktop.settings import Settings
from songid_desktop.ui import bridge

if TYPE_CHECKING:
    from songid_desktop.audio.capture import Capture, CaptureStatus
    from songid_desktop.audio.playback import Player
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.catalog.history import History
    from songid_desktop.catalog.records import LibraryCounts
    from songid_desktop.identify.worker import Answer, IdentificationWorker
    from songid_desktop.ui.enrol_job import EnrolJob
    from songid_desktop.ui.identifiers import Identifiers

log = logging.getLogger(__name__)

T = TypeVar("T")

SAVE_AFTER_MS = 400
"""Settings are written this long after the last change, so that a dragged slider costs one
write."""


class Services(QObject):
    """The machinery behind the pages of one window."""

    settings_changed = Signal(object)
    """The new Settings."""
    catalog_changed = Signal(int)
    """The catalog's change counter moved, here or in another process: read again what you show."""
    counts_changed = Signal(object)
    """A LibraryCounts, or None while the catalog can't be read (see `catalog_trouble`)."""
    playing_changed = Signal(object)
    """Path of the file that plays now, or None."""
    capture_changed = Signal(object)
    """A CaptureStatus."""
    answered = Signal(object)
    """An Answer of the identification worker."""
    warmed = Signal(str, object)
    """Name of an identifier that the worker has ready now, and None; or why it has not."""
    notified = Signal(str, object, str)
    """Text, ToastAction or None, kind: the window shows it."""
    page_requested = Signal(str)
    """Name of a page to show: listen, library, history, preferences or models."""
    files_requested = Signal(object)
    """Audio files (list of Path) to identify on the Listen page."""
    library_requested = Signal(str)
    """A method of the Library page to call, after showing it: add_folder or try_demo."""
    prepared = Signal()
    """Capture, worker and player exist now."""
    prepare_failed = Signal()
    """They could not be made; the person has been told why."""

    def __init__(self, paths: Paths, *, jobs: bridge.Jobs | None = None) -> None:
        super().__init__()
        self.paths = paths
        self.jobs = jobs or bridge.Jobs()
        self.counts: LibraryCounts | None = None
        self.catalog_trouble = ""
        self.is_counted = False
        """Whether `counts` is an answer; None then means that there is no library yet."""
        self.is_playing = False
        self.is_prepared = False
        self._settings = settings_store.load(paths.settings)
        self._capture: Capture | None = None
        self._worker: IdentificationWorker | None = None
        self._player: Player | None = None
        self._enrolment: EnrolJob | None = None
        self._identifiers: Identifiers | None = None
        self._is_closed = False
        self._save_timer = QTimer(self)
        self._save_timer.setSingleShot(True)
        self._save_timer.setInterval(SAVE_AFTER_MS)
        self._save_timer.timeout.connect(self._save_settings)
        self.catalog_changed.connect(self.refresh_counts)

    # Settings

    @property
    def settings(self) -> Settings:
        """The settings now."""
        return self._settings

    def change_settings(self, **values: Any) -> None:
        """Change settings by name; tells everyone and saves soon."""
        changed = self._settings.changed(**values)
        if changed == self._settings:
            return
        self._settings = changed
        self.settings_changed.emit(changed)
        self._save_timer.start()

    def _save_settings(self) -> None:
        job = self.jobs.run(
            settings_store.save, self.paths.settings, self._settings, lane="settings"
        )
        job.failed.connect(
            lambda error: self.notify(f"Your settings could not be saved: {error}", kind="warn")
        )

    # Notes

    def notify(self, text: str, action: object = None, kind: str = "info") -> None:
        """One call for the eye and the log. `action` is a ToastAction; `kind`: info, ok, warn,
        bad. GUI thread only."""
        level = {"warn": logging.WARNING, "bad": logging.ERROR}.get(kind, logging.INFO)
        log.log(level, "%s", text)
        self.notified.emit(text, action, kind)

    def report(self, error: BaseException, lead: str = "") -> None:
        """Show an error: its own sentence when it is one of ours, else that it is in the log. A
        cancel is what was asked for, or the window is closing: nothing to tell."""
        if isinstance(error, Cancelled):
            return
        if isinstance(error, SongIDError):
            kind = "warn" if isinstance(error, EnvironmentProblem) else "bad"
            self.notify(f"{lead} {error}".strip(), kind=kind)
            return
        log.error("%s", lead or "Something failed", exc_info=error)
        what = lead or "Something went wrong inside the program."
        self.notify(f"{what} The details are in {self.paths.log}.", kind="bad")

    # Catalog

    def with_catalog(
        self, function: Callable[..., object], *args: Any, lane: str = "", create: bool = False
    ) -> bridge.Job:
        """Run `function(catalog, *args)` on a job thread with a catalog of its own, closed
        after."""
        return self.jobs.run(self._call_with_catalog, function, args, create, lane=lane)

    def _call_with_catalog(
        self, function: Callable[..., object], args: tuple[Any, ...], create: bool
    ) -> object:
        from songid_desktop.catalog.catalog import Catalog

        with Catalog.open(self.paths, create=create) as catalog:
            return function(catalog, *args)

    def with_history(self, function: Callable[[History], object]) -> bridge.Job:
        """Run `function(history)` on the one thread for history rows, in the order of the calls."""

        def call(catalog: Catalog) -> object:
            from songid_desktop.catalog.history import History

            return function(History(catalog))

        return self.with_catalog(call, lane="history", create=True)

    def refresh_counts(self) -> None:
        """Count the library again; `counts_changed` follows."""
        from songid_desktop.ui import library_counts

        job = self.jobs.run(library_counts.read, self.paths, lane="counts")
        job.done.connect(self._take_counts)
        job.failed.connect(self._take_no_counts)

    def _take_counts(self, counts: LibraryCounts | None) -> None:
        self.counts, self.catalog_trouble, self.is_counted = counts, "", True
        self.counts_changed.emit(counts)

    def _take_no_counts(self, error: BaseException) -> None:
        is_news = str(error) != self.catalog_trouble
        self.counts, self.catalog_trouble = None, str(error)
        self.counts_changed.emit(None)
        if is_news:
            self.report(error)

    # Machinery

    def prepare(self) -> None:
        """Import and start what the first frame did not need; `prepared` follows."""
        job = self.jobs.run(_import_machinery)
        job.done.connect(lambda _result: self._try_to_make_machinery())
        job.failed.connect(self._take_prepare_failure)

    def _take_prepare_failure(self, error: BaseException) -> None:
        self.report(error, "Listening is not possible.")
        self.prepare_failed.emit()

    def _try_to_make_machinery(self) -> None:
        if self._is_closed or self.is_prepared:
            return
        try:
            self._make_machinery()
        except Exception as error:  # noqa: BLE001  (whatever it is, what waits for it must hear)
            self._take_prepare_failure(error)

    def _make_machinery(self) -> None:
        from songid_desktop.audio.capture import Capture
        from songid_desktop.audio.playback import Player
        from songid_desktop.identify.worker import IdentificationWorker

        self.use_machinery(
            Capture(on_status=self._on_capture_status),
            Player(on_end=self._on_player_end),
            IdentificationWorker(
                self.paths,
                self._on_answer,
                on_catalog_change=self._on_catalog_change,
                warm="",  # what is chosen is made ready by `identifiers`
                on_warm=self._on_warm,
            ),
        )
        self.capture.get_ready()  # so that the first Listen need not wait

    def use_machinery(self, capture: Capture, player: Player, worker: IdentificationWorker) -> None:
        """Take what listens, plays and identifies; from here on it may be used."""
        self._capture, self._player, self._worker = capture, player, worker
        self.is_prepared = True
        self.refresh_counts()
        assert self.identifiers is not None  # made by being asked for; follows `prepared`
        self.prepared.emit()

    # The five below run on the machinery's own threads.

    def _on_capture_status(self, status: CaptureStatus) -> None:
        bridge.post(self.capture_changed.emit, status)

    def _on_answer(self, answer: Answer) -> None:
        bridge.post(self.answered.emit, answer)

    def _on_catalog_change(self, counter: int) -> None:
        bridge.post(self.catalog_changed.emit, counter)

    def _on_warm(self, name: str, error: Exception | None) -> None:
        bridge.post(self.warmed.emit, name, error)

    def _on_player_end(self, message: str) -> None:
        bridge.post(self._take_player_end, message)

    @property
    def capture(self) -> Capture:
        """Live sound; only after `prepared`."""
        return _made(self._capture)

    @property
    def worker(self) -> IdentificationWorker:
        """The identification thread; only after `prepared`."""
        return _made(self._worker)

    @property
    def player(self) -> Player:
        """Own playback; only after `prepared`. Pages call `play` and `stop_playing` instead."""
        return _made(self._player)

    @property
    def enrolment(self) -> EnrolJob:
        """The one enrolment of the window."""
        if self._enrolment is None:
            from songid_desktop.ui.enrol_job import EnrolJob

            self._enrolment = EnrolJob(self.paths, self)
            self.identifiers.follow_enrolment()
        return self._enrolment

    @property
    def enrolment_if_any(self) -> EnrolJob | None:
        """The same, None while nothing asked for it."""
        return self._enrolment

    @property
    def identifiers(self) -> Identifiers:
        """What each identifier is ready for."""
        if self._identifiers is None:
            from songid_desktop.ui.identifiers import Identifiers

            self._identifiers = Identifiers(self)
        return self._identifiers

    def warm(self, identifier: str) -> None:
        """Have the worker get an identifier ready; `warmed` follows."""
        if self._worker is not None:
            self._worker.warm(identifier)

    # Playback

    def play(self, path: Path, start_s: float = 0.0) -> None:
        """Play a file from `start_s`, instead of what plays now."""
        if not self.is_prepared:
            return
        job = self.jobs.run(self.player.play, path, max(0.0, start_s), lane="player")
        job.done.connect(lambda _result: self._set_playing(path))
        job.failed.connect(self._take_play_failure)

    def stop_playing(self) -> None:
        """Stop own playback, if any."""
        if self._player is not None and self.is_playing:
            job = self.jobs.run(self._player.stop, lane="player")
            job.done.connect(lambda _result: self._set_playing(None))

    def _set_playing(self, path: Path | None) -> None:
        self.is_playing = path is not None
        self.playing_changed.emit(path)

    def _take_play_failure(self, error: BaseException) -> None:
        self._set_playing(None)
        self.report(error)

    def _take_player_end(self, message: str) -> None:
        self._set_playing(None)
        if message:
            self.notify(message, kind="warn")

    # Requests between pages

    def show_page(self, name: str) -> None:
        """Ask the window for a page: listen, library, history, preferences or models."""
        self.page_requested.emit(name)

    def ask_library(self, what: str) -> None:
        """Have the Library page do something: add_folder or try_demo."""
        self.library_requested.emit(what)

    def identify_files(self, files: Sequence[Path]) -> None:
        """Name the music of files, on the Listen page."""
        self.files_requested.emit(list(files))

    # End

    def close(self) -> None:
        """Stop capture, cancel jobs, join threads, close the catalog, save settings; in this
        order."""
        if self._is_closed:
            return
        self._is_closed = True
        self._save_timer.stop()
        if self._capture is not None:
            self._capture.close()
        if self._player is not None:
            self._player.close()
        if self._enrolment is not None:
            self._enrolment.close()
        if self._worker is not None:
            self._worker.close()
        if not self.jobs.close():
            log.warning("A background job did not end in time.")
        try:
            settings_store.save(self.paths.settings, self._settings)
        except OSError as error:
            log.warning("The settings could not be saved: %s", error)


def _made(thing: T | None) -> T:
    if thing is None:
        raise RuntimeError("used before Services.prepared, or after close")
    return thing


def _import_machinery() -> None:
    """The slow imports, on a background thread, so that the window stays fluent meanwhile."""
    import songid_desktop.audio.capture
    import songid_desktop.audio.playback
    import songid_desktop.dsp.columns
    import songid_desktop.identify.session
    import songid_desktop.identify.worker  # noqa: F401
    from songid_desktop.identify import registry

    registry.available()  # looks at the models, with what that imports
