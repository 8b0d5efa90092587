"""The Listen page with told machinery, and a library of three tracks for it."""

from __future__ import annotations

from mutagen.flac import FLAC
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.history import History
from songid_desktop.ui.listen import ListenPage
from tests.support import qt
from tests.support.catalog import as_landmark, enrol_here, write_song
from tests.support.listening import install

LONG_TITLE = "とても長い題名の曲 " + "A title that goes on and on " * 4


def make_library(paths, tmp_path):
    folder = tmp_path / "music"
    songs = []
    names = [("First Song", "Anna"), (LONG_TITLE.strip(), "日本の歌手"), ("Third", "Carl")]
    for number, (title, artist) in enumerate(names):
        songs.append(write_song(folder / f"{number}.flac", number, 3.0))
        tags = FLAC(songs[-1])
        tags["title"], tags["artist"] = title, artist
        tags.save()
    enrol_here(paths, folder, fingerprinters=[as_landmark()], jobs=1)
    return songs


class Desk:
    """The page with told machinery and a library of three tracks."""

    def __init__(self, services, shown):
        self.services = services
        self.page = ListenPage(services)
        shown.append(self.page)
        qt.show(self.page, 1000, 700)
        self.capture, self.worker, self.player = install(services)
        self.notes = []
        services.notified.connect(lambda text, _action, kind: self.notes.append((kind, text)))
        qt.wait_until(lambda: services.is_counted)

    def listen(self, heard_s=2.1):
        self.page.button.click()
        self.hear(heard_s)

    def hear(self, seconds):
        """Sound, and the ticks in which the page takes it."""
        self.capture.hear(seconds)
        end = self.capture.ring.position
        qt.wait_until(lambda: self.page.control.position == end, what="drained")

    def look(self, identification, heard_s=2.1):
        """One whole look."""
        before = len(self.worker.requests)
        self.hear(heard_s)
        qt.wait_until(lambda: len(self.worker.requests) > before, what="a look")
        self.worker.answer(identification)
        qt.settle()

    @property
    def words(self):
        return self.page.answer.words

    def rows(self):
        """The history, once everything on its way has arrived."""
        flushed = []
        self.services.jobs.run(lambda: None, lane="history").finished.connect(
            lambda: flushed.append(1)
        )
        qt.wait_until(lambda: flushed)
        with Catalog.open(self.services.paths) as catalog:
            return History(catalog).search()


def press(page, key):
    return page.listen_key(QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier))
