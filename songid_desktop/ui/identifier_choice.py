"""The chooser of the method that names the music, as Listen and Preferences show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from songid_desktop.ui.choice import Choice, ChoiceButton

if TYPE_CHECKING:
    from songid_desktop.ui.identifiers import Identifiers, IdentifierStatus


def choices(statuses: tuple[IdentifierStatus, ...]) -> list[Choice]:
    """One entry an identifier, with how much of the library it knows. One that is not installed
    can be chosen too: then it says what it needs."""
    return [
        Choice(
            each.name,
            each.label,
            each.info.description if each.info.is_installed else each.info.needs,
            icon="" if each.info.is_installed else "info",
            note=each.words,
        )
        for each in statuses
    ]


class IdentifierChoice(ChoiceButton):
    """Follows `identifiers` and changes what is chosen there."""

    def __init__(self, identifiers: Identifiers, *, role: str = "quiet") -> None:
        super().__init__("Identifier", "The method that names the music", role=role)
        self._identifiers = identifiers
        self._said: tuple[object, ...] = ()
        self.chosen.connect(self._choose)
        self.about_to_open.connect(self.show_all)
        identifiers.changed.connect(self.show_all)
        self.show_all()

    def _choose(self, name: str) -> None:
        self._identifiers.choose(name)
        self._said = ()
        self.show_all()

    def show_all(self) -> None:
        """Say again what there is, and which is chosen."""
        statuses, name = self._identifiers.all(), self._identifiers.chosen_name
        if (statuses, name) != self._said:
            self._said = (statuses, name)
            self.set_choices(choices(statuses), name)
