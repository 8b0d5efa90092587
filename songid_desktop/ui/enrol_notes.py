"""Says how an enrolment ended, once, wherever the person is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from songid_desktop.ui.toasts import ToastAction
from songid_desktop.ui.wording import plural

if TYPE_CHECKING:
    from songid_desktop.catalog.records import EnrolReport
    from songid_desktop.ui.services import Services


class EnrolNotes(QObject):
    """Turns the end of each enrolment of `services` into one note; see `install`."""

    problems_wanted = Signal()
    """Show was pressed: the Library page filters to what failed."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._services = services
        self._is_demo = False
        services.enrolment.demo_finished.connect(self._take_demo)
        services.enrolment.finished.connect(self._tell)
        services.enrolment.failed.connect(self._tell_failure)

    def _take_demo(self) -> None:
        # In the first run the demo goes on by itself, and a note would only stand in its way.
        self._is_demo = True
        if self._services.settings.first_run_done:
            recognise = ToastAction("Recognise one", self._recognise_demo)
            self._services.notify("The demo tunes are in your library.", recognise, "ok")

    def _recognise_demo(self) -> None:
        tunes = sorted(self._services.paths.demo_tunes.glob("*.flac"))
        if tunes:
            self._services.identify_files(tunes[:1])

    def _tell(self, report: EnrolReport) -> None:
        if self._is_demo:
            self._is_demo = False
            return
        text = summary(report)
        if not text:
            return
        if report.was_cancelled:
            self._services.notify(text)
        elif report.failed:
            self._services.notify(text, ToastAction("Show", self._show_problems), "warn")
        else:
            self._services.notify(text, kind="ok")

    def _tell_failure(self, message: str) -> None:
        # The strip keeps the sentence and a way to try again; the note makes sure it is seen.
        retry = ToastAction("Try again", self._services.enrolment.retry)
        self._services.notify(message, retry, "warn")

    def _show_problems(self) -> None:
        self._services.show_page("library")
        self.problems_wanted.emit()


def install(services: Services) -> EnrolNotes:
    """The notes of these services, made once however many pages ask."""
    found = services.findChild(EnrolNotes)
    return found if isinstance(found, EnrolNotes) else EnrolNotes(services)


def summary(report: EnrolReport) -> str:
    """One line about a finished enrolment: only what is not zero."""
    copies = "copy" if report.copies == 1 else "copies"
    parts = [
        text
        for number, text in (
            (report.added, f"{plural(report.added, 'track')} added"),
            (report.updated, f"{plural(report.updated, 'track')} updated"),
            (report.moved, f"{plural(report.moved, 'track')} found at a new place"),
            (report.copies, f"{report.copies:,} more {copies}"),
            (report.missing, f"{plural(report.missing, 'file')} missing"),
            (len(report.failed), f"{plural(len(report.failed), 'file')} could not be read"),
            (len(report.missing_roots), _unreachable(report)),
        )
        if number
    ]
    is_news = bool(
        report.added or report.updated or report.moved or report.copies or report.missing
    )
    if report.unchanged and not is_news and not report.was_cancelled:
        parts.insert(0, f"Nothing new in {plural(report.unchanged, 'file')}")
    text = ", ".join(parts)
    if report.was_cancelled:
        done = f": {text}" if text else ""
        return f"Enrolment ended early{done}. A rescan (F5) goes on where it stopped."
    if not text:
        return "No music was found there."
    return text[0].upper() + text[1:] + "."


def _unreachable(report: EnrolReport) -> str:
    names = ", ".join(f"“{root.name or root}”" for root in report.missing_roots[:2])
    more = len(report.missing_roots) - 2
    names += f" and {more} more" if more > 0 else ""
    return f"{names} can't be reached at present; nothing was removed"
