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
    [
        ("landmark", ("landmark",)),
        ("all", ("landmark",)),
        (" landmark , landmark,", ("landmark",)),
        ("landmark,report", ("landmark", "report")),
        ("report", ("report",)),
    ],
)
def test_lists_of_names(text: str, names: tuple[str, ...]) -> None:
    assert registry.resolve_names(text) == names


@pytest.mark.parametrize("text", ["", ",", "ouija", "landmark,ouija"])
def test_unknown_names_are_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError, match="landmark"):
        registry.resolve_names(text)


def test_what_is_made_bears_its_name_and_travels(paths: Paths) -> None:
    for info in registry.every():
        fingerprinter = registry.fingerprinter(info.name)
        assert fingerprinter.name == info.name
        copy = pickle.loads(pickle.dumps(fingerprinter))
        assert copy.config_digest == fingerprinter.config_digest
        made = registry.create(info.name, paths)
        assert (made.name, made.config_digest) == (info.name, fingerprinter.config_digest)
        expected = None if info.is_hidden else fingerprinter.config_digest
        assert registry.config_digests().get(info.name) == expected


def test_what_is_for_evaluation_is_offered_nowhere_but_answers_to_its_name() -> None:
    hidden = [info.name for info in registry.every() if info.is_hidden]
    assert hidden == ["report"]
    for names in (
        [info.name for info in registry.available()],
        registry.installed_names(),
        registry.resolve_names(registry.ALL),
        registry.config_digests(),
    ):
        assert not set(names) & set(hidden)
    assert registry.describe("report").is_hidden
    assert registry.DEFAULT_IDENTIFIER not in hidden
    with pytest.raises(UsageError) as refused:
        registry.describe("ouija")
    assert "report" not in str(refused.value)


def test_their_indexes_lie_apart(paths: Paths) -> None:
    folders = {registry.create(info.name, paths).index.directory for info in registry.every()}
    assert len(folders) == len(registry.every())
