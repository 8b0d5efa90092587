"""What the History page does to its rows: edit, mark, delete and take back, export; each off the
GUI thread, in the order it was asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from songid_desktop.ui.history_model import title_of
from songid_desktop.ui.history_query import read_plays
from songid_desktop.ui.toasts import ToastAction
from songid_desktop.ui.wording import plural

if TYPE_CHECKING:
    from songid_desktop.catalog.history import History
    from songid_desktop.catalog.records import Play
    from songid_desktop.ui.services import Services


class HistoryActions(QObject):
    """Changes of the history, with undo."""

    changed = Signal()
    """Rows were changed from here: look again at once."""

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._undos: list[tuple[str, Callable[[History], object]]] = []

    # -- edit ---------------------------------------------------------------------------------

    def set_favourite(self, play: Play, *, is_favourite: bool) -> None:
        """Star or unstar."""
        self._run(lambda history: history.update(play.play_id, is_favourite=is_favourite))

    def edit(self, play: Play, **fields: Any) -> None:
        """Change title, artist or note; what was there comes back with Undo."""
        before = {name: getattr(play, name) for name in fields}
        if fields == before:
            return
        name = fields.get("title") or title_of(play)
        self._push("Change undone.", lambda history: history.update(play.play_id, **before))
        undo = self._undos[-1]

        def done(_result: object) -> None:
            self._services.notify(f"“{name}” saved.", self._undo_action(undo), "ok")

        self._run(lambda history: history.update(play.play_id, **fields), done)

    # -- delete -------------------------------------------------------------------------------

    def delete(self, ids: Sequence[int]) -> None:
        """Delete plays by their ids."""
        if ids:
            self._run(lambda history: (history.delete(ids), len(ids)), self._take_deletion)

    def _take_deletion(self, result: object) -> None:
        assert isinstance(result, tuple)
        token, count = result
        words = plural(count, "play")
        self._push(f"{words} back in the history.", lambda history: history.undo(token))
        action = self._undo_action(self._undos[-1])
        self._services.notify(f"{words} deleted from the history.", action)

    # -- undo ---------------------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last change (Ctrl+Z)."""
        if self._undos:
            self._undo(self._undos[-1])
        else:
            self._services.notify("There is nothing to undo.")

    def _push(self, words: str, back: Callable[[History], object]) -> None:
        self._undos.append((words, back))

    def _undo_action(self, undo: tuple[str, Callable[[History], object]]) -> ToastAction:
        return ToastAction("Undo", lambda: self._undo(undo))

    def _undo(self, undo: tuple[str, Callable[[History], object]]) -> None:
        if undo not in self._undos:
            return
        self._undos.remove(undo)
        words, back = undo
        self._run(back, lambda _result: self._services.notify(words, kind="ok"))

    def _run(
        self, function: Callable[[History], object], done: Callable[[Any], None] | None = None
    ) -> None:
        job = self._services.with_history(function)
        if done is not None:
            job.done.connect(done)
        job.done.connect(lambda _result: self.changed.emit())
        job.failed.connect(self._services.report)

    # -- export -------------------------------------------------------------------------------

    def export(self, ids: Sequence[int], target: Path, fmt: str) -> None:
        """Write these plays to a file, in this order."""

        def call(history: History) -> int:
            from songid_desktop.catalog.export import export_plays

            return export_plays(read_plays(history, ids), target, fmt)

        def done(count: object) -> None:
            number = count if isinstance(count, int) else 0
            words = f"{plural(number, 'play')} written to {target.name}."
            self._services.notify(words, ToastAction("Open folder", self._opener(target)), "ok")

        job = self._services.with_history(call)
        job.done.connect(done)
        job.failed.connect(self._services.report)

    def _opener(self, target: Path) -> Callable[[], None]:
        from songid_desktop.ui.track_details import open_folder

        return lambda: open_folder(target)


def file_name(fmt: str, now_s: float | None = None) -> str:
    """What an export is called unless somebody says otherwise."""
    day = time.strftime("%Y-%m-%d", time.localtime(now_s))
    return f"Heard until {day}.{fmt}"
