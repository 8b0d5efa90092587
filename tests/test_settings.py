"""Settings: what is stored comes back, and what is damaged costs only itself."""

from __future__ import annotations

import json
import os
from dataclasses import FrozenInstanceError, asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from songid_desktop import settings as module
from songid_desktop.settings import AXES, PALETTES, SCHEMA_VERSION, THEMES, Settings, load, save

given_tmp_path = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
names_of_files = st.one_of(
    text, st.binary(min_size=1, max_size=20).map(lambda raw: raw.decode(errors="surrogateescape"))
)
valid_settings = st.builds(
    Settings,
    identifier=text,
    source=text,
    continuous=st.booleans(),
    theme=st.sampled_from(THEMES),
    palette=st.sampled_from(PALETTES),
    axis=st.sampled_from(AXES),
    range_low_db=st.floats(-140, -60),
    range_high_db=st.floats(-40, 20),
    show_constellation=st.booleans(),
    keep_matched_clips=st.booleans(),
    enrol_jobs=st.integers(0, 64),
    prepare_in_background=st.booleans(),
    not_prepared=text,
    first_run_done=st.booleans(),
    window_geometry=text,
    last_folder=names_of_files,
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=6,
)


def is_sound(value: Settings) -> bool:
    """Every field has its declared type and a permitted value."""
    defaults = Settings()
    types_right = all(
        type(getattr(value, item.name)) is type(getattr(defaults, item.name))
        for item in fields(Settings)
    )
    return (
        types_right
        and value.theme in THEMES
        and value.palette in PALETTES
        and value.axis in AXES
        and -140 <= value.range_low_db <= -20
        and -100 <= value.range_high_db <= 20
        and value.range_high_db - value.range_low_db >= 10
        and 0 <= value.enrol_jobs <= 64
    )


@given_tmp_path
@given(value=valid_settings)
def test_what_was_saved_is_loaded(tmp_path: Path, value: Settings) -> None:
    save(tmp_path / "settings.json", value)
    assert load(tmp_path / "settings.json") == value


@given_tmp_path
@given(stored=st.dictionaries(st.sampled_from([f.name for f in fields(Settings)]), json_values))
def test_any_json_loads_as_sound_settings(tmp_path: Path, stored: dict[str, Any]) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(stored))
    assert is_sound(load(path))


@given_tmp_path
@given(raw=st.binary(max_size=200))
def test_any_bytes_load_as_sound_settings(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(raw)
    assert is_sound(load(path))


@given_tmp_path
@given(value=valid_settings, bad=json_values, data=st.data())
def test_one_bad_line_costs_only_itself(
    tmp_path: Path, value: Settings, bad: Any, data: st.DataObject
) -> None:
    spoilt = data.draw(st.sampled_from(["theme", "palette", "axis", "enrol_jobs", "continuous"]))
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({**asdict(value), spoilt: [bad]}))
    loaded = load(path)
    for item in fields(Settings):
        expected = Settings() if item.name == spoilt else value
        assert getattr(loaded, item.name) == getattr(expected, item.name)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "null",
        "[]",
        '"text"',
        "{",
        '{"theme": NaN}',
        '{"range_low_db": NaN, "range_high_db": Infinity}',
        '{"range_low_db": -30, "range_high_db": -25}',
        '{"range_low_db": -20.0, "range_high_db": -100.0}',
        '{"enrol_jobs": true, "continuous": 1, "theme": ["dark"], "axis": {}}',
        '{"enrol_jobs": -1}',
        '{"enrol_jobs": 65}',
        '{"schema_version": "x", "theme": 3}',
        '{"schema_version": null, "unknown": 1}',
        "[" * 100_000,
        '{"range_low_db": 1' + "0" * 400 + "}",
        '{"range_low_db": 1' + "0" * 5000 + "}",
        '{"schema_version": 1' + "0" * 400 + "}",
        "\ufeff{}",
    ],
    ids=lambda raw: raw[:40],
)
def test_impossible_values_fall_back(tmp_path: Path, raw: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(raw, encoding="utf-8")
    assert load(path) == Settings()


def test_no_file_is_all_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "missing" / "settings.json") == Settings()


def test_a_folder_in_its_place_is_all_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()


def test_defaults_are_sound() -> None:
    assert is_sound(Settings())


def test_whole_numbers_are_taken_for_decimals(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"range_low_db": -80, "range_high_db": 0}')
    loaded = load(path)
    assert (loaded.range_low_db, loaded.range_high_db) == (-80.0, 0.0)
    assert type(loaded.range_low_db) is float


def test_changed_makes_a_new_value_and_repairs_it() -> None:
    before = Settings()
    after = before.changed(theme="dark", palette="no such palette")
    assert (after.theme, after.palette) == ("dark", Settings().palette)
    assert before == Settings()
    with pytest.raises(TypeError):
        before.changed(no_such_setting=1)


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().theme = "dark"  # type: ignore[misc]


def test_file_of_a_newer_version_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    newer = json.dumps({"schema_version": SCHEMA_VERSION + 1, "theme": "dark", "hologram": True})
    path.write_text(newer)
    loaded = load(path)
    assert loaded.theme == "dark"
    save(path, loaded)
    kept = path.with_suffix(f".v{SCHEMA_VERSION + 1}.json")
    assert kept.read_text() == newer
    assert json.loads(path.read_text())["schema_version"] == SCHEMA_VERSION


def test_file_says_its_version_and_is_for_people_to_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "settings.json"
    save(path, Settings(source="Mikrofon für 音楽"))
    raw = path.read_text(encoding="utf-8")
    assert json.loads(raw)["schema_version"] == SCHEMA_VERSION
    assert "音楽" in raw
    assert raw.endswith("\n")


def test_a_crash_while_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    save(path, Settings(theme="dark"))

    def crash(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save(path, Settings(theme="light"))
    monkeypatch.undo()
    assert load(path).theme == "dark"
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.json"
    save(path, Settings(theme="dark"))
    monkeypatch.setattr(module.json, "dumps", lambda *_args, **_kwargs: "x" * 100)
    original = os.fdopen

    def full(*args: Any, **kwargs: Any) -> Any:
        def refuse(_text: str) -> int:
            raise OSError(28, "No space left on device")

        file = original(*args, **kwargs)
        file.write = refuse
        return file

    monkeypatch.setattr(module.os, "fdopen", full)
    with pytest.raises(OSError, match="No space"):
        save(path, Settings(theme="light"))
    monkeypatch.undo()
    assert load(path).theme == "dark"
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]


def test_readers_meet_only_whole_files(tmp_path: Path) -> None:
    import threading

    path = tmp_path / "settings.json"
    written = [Settings(last_folder="x" * 5000 + str(n), theme="dark") for n in range(60)]
    save(path, written[0])
    done = threading.Event()

    def write() -> None:
        for value in written:
            save(path, value)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert load(path) in written
    writer.join()
