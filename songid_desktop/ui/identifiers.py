"""What each identifier is ready for, in the window: installed, opened, and how much of the library
it knows; and the preparation of the rest in the background.

Owned by the window's services (`services.identifiers`). Choosing never blocks: the identifier is
opened on the worker's thread, and the tracks that it lacks are fingerprinted by the window's one
enrolment, at low priority, after everything else. It begins by itself for the chosen identifier
and for those that know part of the library already, unless the person ended it or has it switched
off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from songid_desktop.errors import SongIDError
from songid_desktop.identify import registry
from songid_desktop.identify.registry import IdentifierInfo
from songid_desktop.ui import wording
from songid_desktop.ui.toasts import ToastAction
from songid_desktop.ui.wording import plural

if TYPE_CHECKING:
    from songid_desktop.catalog.records import EnrolReport
    from songid_desktop.ui.enrol_request import EnrolRequest
    from songid_desktop.ui.services import Services

RETRY_MS = 5_000
"""So long after another program was found writing, a preparation is tried again."""
MODELS_PAGE = "models"


@dataclass(frozen=True, slots=True)
class IdentifierStatus:
    """One identifier and this library."""

    info: IdentifierInfo
    tracks: int = 0
    """Tracks of the library."""
    enrolled: int = 0
    pending: int = 0
    failed: int = 0
    is_preparing: bool = False
    is_opening: bool = False
    """It is being loaded; what is asked of it meanwhile waits."""
    is_declined: bool = False
    """Its preparation was ended by hand."""

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def label(self) -> str:
        return self.info.label

    @property
    def can_prepare(self) -> bool:
        """Whether there are tracks that it could learn now."""
        return self.info.is_installed and self.pending > 0 and not self.is_preparing

    @property
    def words(self) -> str:
        """Its state in a few words."""
        if not self.info.is_installed:
            return "not installed"
        if not self.tracks:
            return "ready" if not self.is_opening else "getting ready…"
        if self.enrolled >= self.tracks:
            known = "knows the whole library"
        else:
            known = f"knows {self.enrolled:,} of {plural(self.tracks, 'track')}"
        if self.is_opening:
            return f"getting ready…, {known}"
        return f"{known}, preparing" if self.is_preparing else known


class Identifiers(QObject):
    """All identifiers that are offered, with their states."""

    changed = Signal()
    """A state, or which one is chosen, changed."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._services = services
        registry.look_in(services.paths)
        # The first frame does without looking at models; `look_again` follows soon after it.
        self._infos = _first_infos(services.settings.identifier)
        self._opening: set[str] = set()
        self._opened: set[str] = set()
        self._unable: set[str] = set()
        """Could not be made ready: tried again when chosen, or when models changed."""
        self._left: dict[str, int] = {}
        self._shown: tuple[IdentifierStatus, ...] = ()
        self._chosen = services.settings.identifier
        self._retry = QTimer(self)
        self._retry.setSingleShot(True)
        self._retry.setInterval(RETRY_MS)
        self._retry.timeout.connect(self._prepare_what_is_due)
        services.settings_changed.connect(self._on_settings)
        services.counts_changed.connect(self._on_counts)
        services.warmed.connect(self._on_warmed)
        services.prepared.connect(self.look_again)

    def follow_enrolment(self) -> None:
        """Follow the window's enrolment, once there is one."""
        job = self._services.enrolment
        job.prepared.connect(self._on_prepared)
        job.finished.connect(lambda _report: self._warm_again())
        job.changed.connect(self._tell)

    # -- what there is to see -----------------------------------------------------------------

    def all(self) -> tuple[IdentifierStatus, ...]:
        """Every identifier that is offered, the default first."""
        counts = self._services.counts
        declined = self._declined()
        job = self._services.enrolment_if_any
        made = []
        for info in self._infos:
            name = info.name
            made.append(
                IdentifierStatus(
                    info,
                    tracks=counts.tracks if counts else 0,
                    enrolled=counts.enrolled.get(name, 0) if counts else 0,
                    failed=counts.failed.get(name, 0) if counts else 0,
                    pending=counts.pending.get(name, counts.tracks) if counts else 0,
                    is_preparing=job is not None and job.is_preparing(name),
                    is_opening=name in self._opening,
                    is_declined=name in declined,
                )
            )
        return tuple(made)

    def status(self, name: str) -> IdentifierStatus | None:
        """The one called `name`; None where this version knows none."""
        return next((each for each in self.all() if each.name == name), None)

    @property
    def chosen_name(self) -> str:
        """Name of the one that names what is heard, also where this version knows none of it."""
        return self._services.settings.identifier

    @property
    def chosen(self) -> IdentifierStatus | None:
        """The one that names what is heard."""
        return self.status(self.chosen_name)

    def in_use(self) -> tuple[IdentifierStatus, ...]:
        """Those whose states a table of tracks shows: installed, or known to the library."""
        return tuple(each for each in self.all() if each.info.is_installed or each.enrolled)

    # -- what can be asked --------------------------------------------------------------------

    def look_again(self) -> None:
        """Weights were installed or removed, or the machinery is there now."""
        wording.identifier.cache_clear()
        self._infos, before = registry.available(), self._infos
        self._leave_what_is_gone(before)
        self._warm(self._services.settings.identifier)
        self._services.refresh_counts()
        self._tell()

    def _leave_what_is_gone(self, before: tuple[IdentifierInfo, ...]) -> None:
        """A model that was removed names no music: the default does."""
        name, default = self.chosen_name, registry.DEFAULT_IDENTIFIER
        if any(each.name == name for each in self._infos):
            return
        gone = next((each.label for each in before if each.name == name), name)
        self._services.change_settings(identifier=default)
        self._services.notify(
            f"{gone} is not installed any more. {wording.identifier(default)} names the music now."
        )

    def choose(self, name: str) -> bool:
        """Use another identifier from now on; one that is not installed says what it needs, and
        nothing changes."""
        self._infos = registry.available()
        status = self.status(name)
        if status is None:
            return False
        if not status.info.is_installed:
            self.tell_needs(status)
            self.changed.emit()  # whoever showed the choice shows again what holds
            return False
        self._services.change_settings(identifier=name)
        return True

    def tell_needs(self, status: IdentifierStatus) -> None:
        """Say what an identifier needs before it can be used."""
        models = ToastAction("Models…", lambda: self._services.show_page(MODELS_PAGE))
        self._services.notify(needs_words(status.info), models, "warn")

    def prepare(self, name: str) -> None:
        """Fingerprint what the library has and `name` lacks, because the person wants it."""
        self._set_declined(self._declined() - {name})
        self._left.pop(name, None)
        self._services.enrolment.prepare(name, self._services.settings.enrol_jobs)

    def stop_preparing(self, name: str) -> None:
        """End the preparation for `name`, or take it out of the queue; it does not begin again by
        itself."""
        if self._services.enrolment.drop(name):
            self._set_declined(self._declined() | {name})

    # -- getting ready ------------------------------------------------------------------------

    def _warm(self, name: str) -> None:
        status = self.status(name)
        if status is None or not status.info.is_installed or not self._services.is_prepared:
            return
        if name not in self._opened:
            self._opening.add(name)
        self._services.warm(name)

    def _warm_again(self) -> None:
        """With the first tracks an identifier has something to open."""
        chosen = self.chosen
        done = self._opened | self._opening | self._unable
        if chosen is not None and chosen.name not in done and chosen.enrolled:
            self._warm(chosen.name)

    def _on_warmed(self, name: str, error: Exception | None) -> None:
        was_opening = name in self._opening
        self._opening.discard(name)
        (self._unable.discard if error is None else self._unable.add)(name)
        # Without a library nothing was opened: it is got ready once there is one.
        counts = self._services.counts
        if error is None and counts is not None and counts.enrolled.get(name, 0):
            self._opened.add(name)
        if error is not None and was_opening and name == self._services.settings.identifier:
            what = self.status(name)
            lead = f"{what.label if what else name} could not be made ready."
            if isinstance(error, SongIDError):
                self._services.report(error, lead)
            else:
                self._services.notify(f"{lead} The log says more.", kind="bad")
        self._tell()

    # -- preparing the library ----------------------------------------------------------------

    def _declined(self) -> set[str]:
        return {name for name in self._services.settings.not_prepared.split(",") if name}

    def _set_declined(self, names: set[str]) -> None:
        self._services.change_settings(not_prepared=",".join(sorted(names)))

    def _on_settings(self, _settings: object) -> None:
        name = self._services.settings.identifier
        if name != self._chosen:
            self._chosen = name
            self._warm(name)
        self._prepare_what_is_due()
        self._tell()

    def _on_counts(self, _counts: object) -> None:
        for each in self.all():
            if each.name in self._left:
                self._left[each.name] = min(self._left[each.name], each.pending)
        self._warm_again()
        self._prepare_what_is_due()
        self._tell()

    def _prepare_what_is_due(self) -> None:
        services = self._services
        settings, job = services.settings, services.enrolment_if_any
        is_busy = job is not None and job.is_active
        if is_busy or not (services.is_prepared and settings.prepare_in_background):
            return
        if self._retry.isActive() or services.counts is None:
            return
        first = settings.identifier
        for each in sorted(self.all(), key=lambda each: each.name != first):
            is_wanted = each.name == first or each.enrolled > 0
            is_new = each.pending > self._left.get(each.name, 0)
            if is_wanted and is_new and each.can_prepare and not each.is_declined:
                services.enrolment.prepare(each.name, settings.enrol_jobs)

    def _on_prepared(self, request: EnrolRequest, report: EnrolReport | None) -> None:
        name = request.identifiers[0]
        status = self.status(name)
        if report is None:
            self._retry.start()
        elif report.was_cancelled:
            self._set_declined(self._declined() | {name})
            self._tell_ended(name)
        else:
            # What is left can't be prepared (its files are away): not tried again by itself.
            self._left[name] = status.pending if status is not None else 0
            if report.updated and status is not None:
                what = f"{report.updated:,} more track{'s' * (report.updated != 1)}"
                self._services.notify(f"{status.label} knows {what} now.", kind="ok")
            self._warm_again()
        self._services.refresh_counts()
        self._tell()

    def _tell_ended(self, name: str) -> None:
        label = next((each.label for each in self._infos if each.name == name), name)
        go_on = ToastAction("Go on", lambda: self.prepare(name))
        self._services.notify(f"Preparing for {label} was stopped. What is ready stays.", go_on)

    def _tell(self) -> None:
        shown = self.all()
        if shown != self._shown:
            self._shown = shown
            self.changed.emit()


def _first_infos(chosen: str) -> tuple[IdentifierInfo, ...]:
    """The default and the chosen one, as far as they are known without looking."""
    return tuple(
        IdentifierInfo(name, wording.plain_identifier(name), "", is_installed=True)
        for name in dict.fromkeys((registry.DEFAULT_IDENTIFIER, chosen))
        if name
    )


def needs_words(info: IdentifierInfo) -> str:
    """What an identifier that can't run here lacks, as a sentence."""
    needs = info.needs.strip() or "Its model is not on this computer."
    return f"{info.label} is not installed. {needs}"
