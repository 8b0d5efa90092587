"""Which identifiers there are, which of them can run here, and how to make one.

The front ends show `available()` as their chooser and never import a method by themselves; a
method that needs something more (weights, a library) is listed with what it needs. A hidden one is
for evaluation: it works wherever it is named, and is listed and counted in "all" nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from songid_desktop.errors import UsageError
from songid_desktop.paths import Paths
from songid_desktop.types import Fingerprinter, Identifier

DEFAULT_IDENTIFIER = "landmark"
ALL = "all"


@dataclass(frozen=True, slots=True)
class IdentifierInfo:
    """One entry of the chooser. `needs` says in a sentence what is missing where it can't run."""

    name: str
    label: str
    description: str
    is_installed: bool
    needs: str = ""
    is_hidden: bool = False
    """For evaluation only: never offered, never part of "all"."""


_LANDMARK = IdentifierInfo(
    name="landmark",
    label="Landmark",
    description="Fingerprints of spectral peaks: exact recordings, in noise and over a "
    "loudspeaker, with the position to a few hundredths of a second.",
    is_installed=True,
)
_REPORT = IdentifierInfo(
    name="report",
    label="Report",
    description="The report's own landmark configuration, the baseline of evaluations.",
    is_installed=True,
    is_hidden=True,
)


def every() -> tuple[IdentifierInfo, ...]:
    """Every identifier this version knows, hidden ones too, the default first."""
    return (_LANDMARK, _REPORT)


def available() -> tuple[IdentifierInfo, ...]:
    """The identifiers to offer, the default first. Cheap: imports no method."""
    return tuple(info for info in every() if not info.is_hidden)


def installed_names() -> tuple[str, ...]:
    """Names of the identifiers to offer that can run here."""
    return tuple(info.name for info in available() if info.is_installed)


def describe(name: str) -> IdentifierInfo:
    """The entry called `name`, hidden or not.

    Raises
    ------
    UsageError
        When there is none, or it can't run here; the message lists those that can.
    """
    for info in every():
        if info.name == name:
            if not info.is_installed:
                raise UsageError(f"The identifier “{name}” can't run here: {info.needs}")
            return info
    known = ", ".join(installed_names())
    raise UsageError(f"There is no identifier called “{name}”. Installed: {known}.")


def resolve_names(text: str) -> tuple[str, ...]:
    """Turn ``"landmark,cnn"`` or ``"all"`` into names, each once, in the order given.

    Raises
    ------
    UsageError
        For an unknown name or an empty list.
    """
    if text.strip() == ALL:
        return installed_names()
    names: list[str] = []
    for part in text.split(","):
        name = part.strip()
        if name and name not in names:
            describe(name)
            names.append(name)
    if not names:
        raise UsageError(f"No identifier was named. Installed: {', '.join(installed_names())}.")
    return tuple(names)


def create(name: str, paths: Paths) -> Identifier:
    """A new identifier whose index lives below `paths.index`; not opened yet."""
    describe(name)
    if name == _REPORT.name:
        from songid_desktop.identify.report import ReportIdentifier

        return ReportIdentifier(paths.index / name)
    from songid_desktop.identify.landmark import LandmarkIdentifier

    return LandmarkIdentifier(paths.index / name)


def fingerprinter(name: str) -> Fingerprinter:
    """The half of an identifier that enrolment sends to its worker processes."""
    describe(name)
    if name == _REPORT.name:
        from songid_desktop.identify.report import report_fingerprinter

        return report_fingerprinter()
    from songid_desktop.identify.landmark import landmark_fingerprinter

    return landmark_fingerprinter()


def config_digests() -> dict[str, str]:
    """Name and present configuration digest of every identifier to offer: what the catalog needs
    to tell enrolled tracks from those that wait for a newer configuration."""
    return {name: fingerprinter(name).config_digest for name in installed_names()}
