"""The Models section: one row a model, from asking the hub to removing, through its stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QWidget

from songid_desktop.neural import staging
from songid_desktop.neural.claim import claim
from songid_desktop.neural.pace import InstallProgress, Step
from songid_desktop.neural.roster import Listed
from songid_desktop.neural.state import State
from songid_desktop.paths import Paths
from songid_desktop.ui import model_words
from songid_desktop.ui.model_row import ModelRow
from songid_desktop.ui.model_words import Activity, Doing, view
from songid_desktop.ui.models_section import ModelsSection
from songid_desktop.ui.preferences import PreferencesDialog
from songid_desktop.ui.services import Services
from tests.support import qt
from tests.support.checkpoint_files import AST, MERT, ast_folder
from tests.support.hub_server import HubServer
from tests.support.library_window import Notes, tree_problems, until


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as made:
        made.add(AST, ast_folder(tmp_path / "ast on the hub"), "cc-by-nc-4.0")
        monkeypatch.setenv("HF_ENDPOINT", made.endpoint)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield made


@pytest.fixture
def section(services: Services, shown: list[QWidget]) -> ModelsSection:
    made = ModelsSection(services)
    shown.append(made)
    qt.show(made, 520, 600)
    until(lambda: made.row_of(MERT) is not None)
    return made


SOME = 10_000
"""Bytes: more than the small files have, less than the weights."""


def arrived(paths: Paths) -> int:
    """Bytes of AST's that are on the disk."""
    folder = staging.places(AST, paths).partial
    plan = staging.read_plan(folder)
    return 0 if plan is None else staging.arrived(folder, plan)


def row(section: ModelsSection, name: str = AST) -> ModelRow:
    found = section.row_of(name)
    assert found is not None
    return found


def press(section: ModelsSection, key: str, name: str = AST) -> None:
    offered = row(section, name).actions_offered
    if key in offered:
        offered[key].click()
        return
    assert key in row(section, name).menu_keys, f"{key} is not offered"
    row(section, name).asked.emit(key)


def until_words(section: ModelsSection, words: str, name: str = AST) -> None:
    until(
        lambda: words in row(section, name).words.text(),
        f"{words!r}, not {row(section, name).words.text()!r}",
    )


def test_nothing_is_asked_of_the_hub_by_looking(server: HubServer, section: ModelsSection) -> None:
    until_words(section, "Not installed · about 346 MB")
    assert list(row(section).actions_offered) == ["ask"]
    assert tree_problems(section) == []
    assert server.requests == []


def test_size_and_licence_come_before_the_decision(
    server: HubServer, section: ModelsSection, services: Services
) -> None:
    notes = Notes(services)
    heard: list[None] = []
    section.changed.connect(lambda: heard.append(None))
    press(section, "ask")
    until_words(section, "Licence cc-by-nc-4.0, no commercial use, as its model card says")
    assert not [path for path in server.fetched() if "resolve" in path]
    press(section, "install")
    notes.wait("AST, AudioSet (MIT) is installed.")
    until_words(section, "Installed · ")
    assert row(section).marks.text().startswith(f"commit {server.models[AST].commit[:12]}")
    assert row(section).menu_keys == ["verify", "ask", "from", "confirm"]
    assert heard == [None]
    press(section, "ask")
    until_words(section, "This is the newest version.")
    press(section, "leave")
    until_words(section, "Installed · ")


def test_cancelled_and_resumed_by_another_window(
    server: HubServer, section: ModelsSection, services: Services, shown: list[QWidget]
) -> None:
    server.faults.hang_after = 90_000
    press(section, "ask")
    until_words(section, "model card says")
    press(section, "install")
    until(lambda: arrived(services.paths) > SOME)
    press(section, "cancel")
    until_words(section, "are here · licence cc-by-nc-4.0")
    assert row(section).bar.isVisibleTo(section)
    assert list(row(section).actions_offered) == ["install"]
    server.faults.hang_after = None
    later = ModelsSection(services)  # as after the program was closed and opened again
    shown.append(later)
    qt.show(later)
    until(lambda: later.row_of(AST) is not None)
    assert row(later).actions_offered["install"].text() == "Resume"
    server.requests.clear()
    press(later, "install")
    until_words(later, "Installed · ")
    ranges = [headers["Range"] for _, _, headers in server.requests if "Range" in headers]
    first = int(ranges[0].removeprefix("bytes=").removesuffix("-"))
    assert 0 < first <= 90_000


def test_damage_on_the_way_is_said_and_tried_again(
    server: HubServer, section: ModelsSection
) -> None:
    server.faults.flip_at = 5
    press(section, "ask")
    until_words(section, "model card says")
    press(section, "install")
    until_words(section, "arrived damaged")
    assert row(section).words.property("role") == "warn"
    server.faults.flip_at = None
    until(lambda: "install" in row(section).actions_offered)
    assert row(section).actions_offered["install"].text() == "Try again"
    press(section, "install")
    until_words(section, "Installed · ")


def test_a_failure_nobody_looks_at_is_a_note(
    server: HubServer, section: ModelsSection, services: Services, warning_log: object
) -> None:
    warning_log.allow("The model hub")  # type: ignore[attr-defined]
    notes = Notes(services)
    server.models.clear()
    section.hide()
    section.ask(AST, "ask")
    notes.wait("does not give out this model")


def test_check_and_remove(server: HubServer, section: ModelsSection, paths: Paths) -> None:
    press(section, "ask")
    until_words(section, "model card says")
    press(section, "install")
    until_words(section, "Installed · ")
    until(lambda: "verify" in row(section).menu_keys)
    press(section, "verify")
    until_words(section, "every byte was checked")
    weights = staging.places(AST, paths).final / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    until(lambda: "verify" in row(section).menu_keys)
    press(section, "verify")
    until_words(section, "has changed since it was installed")
    until(lambda: "confirm" in row(section).menu_keys)
    press(section, "confirm")
    until_words(section, "from this computer?")
    press(section, "leave")
    press(section, "confirm")
    press(section, "remove")
    until_words(section, "Not installed")
    assert not weights.exists()


def test_from_a_folder_under_a_free_name(
    section: ModelsSection, tmp_path: Path, services: Services
) -> None:
    notes = Notes(services)
    folder = ast_folder(tmp_path / "my model (copy)")
    section.add_button.click()
    (dialog,) = section.findChildren(QFileDialog)
    dialog.fileSelected.emit(str(folder))
    dialog.reject()
    notes.wait("my-model-copy is installed.")
    until(lambda: section.row_of("my-model-copy"))
    until_words(section, "Installed", "my-model-copy")
    assert section.free_name(folder) == "my-model-copy-2"
    assert section.free_name(tmp_path / "ast") == "my-ast"
    assert section.free_name(tmp_path / "…") == "model"
    press(section, "confirm", "my-model-copy")
    press(section, "remove", "my-model-copy")
    until(lambda: section.row_of("my-model-copy") is None)


def test_a_folder_that_holds_no_model(section: ModelsSection, tmp_path: Path) -> None:
    section.install_from("mine", tmp_path)
    until_words(section, "holds no config.json", "mine")
    until(lambda: "leave" in row(section, "mine").actions_offered)
    press(section, "leave", "mine")
    until(lambda: section.row_of("mine") is None)


def test_another_program_at_it(section: ModelsSection, paths: Paths) -> None:
    with claim(staging.places(AST, paths).lock, "somebody else", AST):
        section.read()
        until_words(section, "Another program")
        assert row(section).actions_offered == {}
        section.install(AST)
        until_words(section, "somebody else")
    section.leave(AST)
    until_words(section, "Not installed")


def test_the_preferences_lead_there(
    services: Services, shown: list[QWidget], section: ModelsSection
) -> None:
    dialog = PreferencesDialog(services)
    shown.append(dialog)
    qt.show(dialog)
    until(lambda: dialog.models.row_of(MERT) is not None)
    dialog.show_section("models")
    assert dialog._area.verticalScrollBar().value() > 0


def test_closing_the_program_ends_a_download(
    server: HubServer, section: ModelsSection, services: Services, paths: Paths
) -> None:
    server.faults.hang_after = 50_000
    section.install(AST)
    until(lambda: arrived(paths) > SOME)
    services.close()
    qt.settle()
    assert arrived(paths) > SOME


def listed(state: State, **named: object) -> Listed:
    values: dict[str, object] = {
        "name": AST,
        "kind": "ast",
        "label": "AST",
        "origin": "official",
        "state": state,
        "size_bytes": 346_400_000,
        "is_size_exact": True,
    }
    return Listed(**{**values, **named})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("progress", "words", "share"),
    [
        (None, "Asking the model hub…", -1.0),
        (InstallProgress(Step.DOWNLOADING, "x", 173_200_000, 346_400_000), "173 MB of 346 MB", 0.5),
        (
            InstallProgress(Step.DOWNLOADING, "x", 0, 346_400_000, 4.2e6, 300.0),
            "0 kB of 346 MB · 4.2 MB/s · about 5 min left",
            0.0,
        ),
        (
            InstallProgress(Step.DOWNLOADING, "x", 0, 100, waits_for="it does not answer"),
            "0 kB of 0 kB · waiting to try again: it does not answer",
            0.0,
        ),
        (InstallProgress(Step.CONVERTING), "Converting the weights, once…", -1.0),
        (InstallProgress(Step.CHECKING), "Checking…", -1.0),
    ],
)
def test_progress_in_words(progress: InstallProgress | None, words: str, share: float) -> None:
    shown = view(listed(State.BUSY), Activity(Doing.INSTALLING, progress=progress))
    assert (shown.words, shown.share) == (words, share)
    assert [action.key for action in shown.buttons] == ["cancel"]


@pytest.mark.parametrize(
    ("origin", "state"),
    [
        ("shipped", State.SHIPPED),
        *(("official", state) for state in State if state is not State.SHIPPED),
        *(("local", state) for state in State if state is not State.SHIPPED),
    ],
)
def test_every_state_has_words_and_a_way_on(state: State, origin: str) -> None:
    shown = view(listed(state, origin=origin, path=Path("x")), Activity())
    assert shown.words
    if state is not State.BUSY:
        assert shown.buttons or shown.menu
    assert len({action.key for action in shown.buttons}) == len(shown.buttons)


def test_sizes_are_short() -> None:
    said = [model_words.megabytes(size) for size in (3_000, 6_200_000, 346_404_948)]
    assert said == ["3 kB", "6.2 MB", "346 MB"]
