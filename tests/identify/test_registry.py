"""Names of identifiers, and what is made of them."""

from __future__ import annotations

import pickle

import pytest

from songid_desktop.errors import UsageError
from songid_desktop.identify import registry
from songid_desktop.paths import Paths


def test_the_default_comes_first_and_is_installed() -> None:
    first = registry.available()[0]
    assert first.name == registry.DEFAULT_IDENTIFIER
    assert first.is_installed
    assert first.label
    assert first.description


@pytest.mark.parametrize(
    ("text", "names"),
    [("landmark", ("landmark",)), ("all", ("landmark",)), (" landmark , landmark,", ("landmark",))],
)
def test_lists_of_names(text: str, names: tuple[str, ...]) -> None:
    assert registry.resolve_names(text) == names


@pytest.mark.parametrize("text", ["", ",", "ouija", "landmark,ouija"])
def test_unknown_names_are_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError, match="landmark"):
        registry.resolve_names(text)


def test_what_is_made_bears_its_name_and_travels(paths: Paths) -> None:
    for name in registry.installed_names():
        fingerprinter = registry.fingerprinter(name)
        assert fingerprinter.name == name
        copy = pickle.loads(pickle.dumps(fingerprinter))
        assert copy.config_digest == fingerprinter.config_digest
        assert registry.create(name, paths).config_digest == fingerprinter.config_digest
        assert registry.config_digests()[name] == fingerprinter.config_digest
