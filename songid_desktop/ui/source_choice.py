"""The chooser of the sound source: microphones and what the computer plays, read anew each time it
is opened, off the GUI thread. A source that is gone stays, greyed, while it is the chosen one."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal

from songid_desktop.errors import DeviceError
from songid_desktop.types import Source, SourceKind
from songid_desktop.ui.choice import Choice, ChoiceButton
from songid_desktop.ui.services import Services

_GROUPS = {
    SourceKind.MICROPHONE: "Microphones",
    SourceKind.MONITOR: "What this computer plays",
}
_ICONS = {SourceKind.MICROPHONE: "microphone", SourceKind.MONITOR: "speaker"}
DEFAULT_LABEL = "System default"


def choices(sources: Sequence[Source], wanted: str, remembered: str = "") -> list[Choice]:
    """What the menu offers: the default, the microphones, the monitors, and the wanted one when it
    is gone (`remembered` is what it was called)."""
    default = next((each for each in sources if each.is_default), None)
    default_hint = f"Now: {default.description}" if default else "Follows the system's setting"
    offered = [Choice("", DEFAULT_LABEL, default_hint, "microphone")]
    for kind in (SourceKind.MICROPHONE, SourceKind.MONITOR):
        offered += [
            Choice(each.name, each.description, each.name, _ICONS[kind], _GROUPS[kind])
            for each in sources
            if each.kind is kind
        ]
    if wanted and all(each.name != wanted for each in sources):
        label = f"{remembered or wanted} (unplugged)"
        hint = "Not there at present; it is used again when it is back."
        offered.append(Choice(wanted, label, hint, "unplugged", "Unplugged", is_enabled=False))
    return offered


class SourceChooser(ChoiceButton):
    """See the module."""

    refreshed = Signal()

    def __init__(self, services: Services) -> None:
        super().__init__("Sound source", "Where to listen", "microphone")
        self._services = services
        self._sources: tuple[Source, ...] = ()
        self._descriptions: dict[str, str] = {}
        self._heard: Source | None = None
        self._is_reading = False
        self.about_to_open.connect(self.refresh)
        self._show()

    def refresh(self) -> None:
        """Ask the system again."""
        if self._is_reading or not self._services.is_prepared:
            return
        self._is_reading = True
        job = self._services.jobs.run(_list_sources)
        job.done.connect(self._take_sources)
        job.failed.connect(self._take_none)

    def _take_sources(self, sources: tuple[Source, ...]) -> None:
        self._is_reading = False
        self._sources = sources
        self._descriptions |= {each.name: each.description for each in sources}
        self._show()
        self.refreshed.emit()

    def _take_none(self, error: BaseException) -> None:
        self._take_sources(())
        if not isinstance(error, DeviceError):
            self._services.report(error)

    def show_heard(self, source: Source | None, *, is_lost: bool = False) -> None:
        """The source that is really listened to; a lost one keeps its name, under another sign."""
        if is_lost:
            self.set_icon_name("unplugged")
            return
        self._heard = source
        if source is not None:
            self._descriptions[source.name] = source.description
        self._show()

    def _show(self) -> None:
        wanted = self._services.settings.source
        remembered = self._descriptions.get(wanted, "")
        self.set_choices(choices(self._sources, wanted, remembered), wanted)
        source = self._heard
        if source is None:
            named = [each for each in self._sources if each.name == wanted]
            defaults = [each for each in self._sources if each.is_default]
            source = next(iter(named or ([] if wanted else defaults)), None)
        if source is not None:
            self.set_label(source.description)
            self.set_icon_name(_ICONS[source.kind])
        elif wanted:
            self.set_label(remembered or wanted)
            self.set_icon_name("unplugged" if self._sources else "microphone")
        else:
            self.set_label(DEFAULT_LABEL)
            self.set_icon_name("microphone")


def _list_sources() -> tuple[Source, ...]:
    from songid_desktop.audio.devices import list_sources

    return list_sources()
