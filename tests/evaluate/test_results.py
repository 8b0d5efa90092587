import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.errors import EnvironmentProblem, UsageError
from songid_desktop.evaluate.results import RESULTS_FILE, RUN_FILE, Record, RunFolder

numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 5))
records = st.builds(
    Record,
    kind=st.sampled_from(["clip", "session", "growth"]),
    identifier=st.text(min_size=1),
    build=st.text(),
    condition=st.text(),
    length_s=numbers,
    track=st.text() | st.just("caf\udce9.mp3"),
    draw=st.integers(0, 99),
    rank=st.none() | st.integers(1, 20),
    confidence=numbers,
    offset_error_s=st.none() | numbers,
)


def record(track="a", draw=0):
    return Record("clip", "landmark", "b", "clean", 5.0, track, draw)


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    made.prepare()
    return made


@given(records)
def test_a_record_is_the_same_after_a_line(one):
    line = one.as_line()
    assert line.endswith("\n")
    assert "\n" not in line[:-1]
    assert Record.from_line(line) == one


@given(st.text(), st.integers(1, 400))
def test_a_line_cut_short_is_passed_over(track, length):
    line = record(track).as_line()
    assert Record.from_line(line[: min(length, len(line) - 2)]) is None


def test_results_go_on_after_a_line_cut_short(folder):
    folder.append([record("a"), record("b")])
    path = folder.folder / RESULTS_FILE
    path.write_bytes(path.read_bytes()[:-20])
    assert [one.track for one in folder.read_results()] == ["a"]
    folder.append([record("c")])
    folder.append([record("d")])
    assert [one.track for one in folder.read_results()] == ["a", "c", "d"]


def test_an_answer_given_twice_counts_once(folder):
    folder.append([record("a"), record("a", draw=1), record("a")])
    assert len(folder.read_results()) == 2


def test_a_folder_without_results_has_none(folder):
    assert folder.read_results() == []
    assert folder.read_run() == {}


def test_a_damaged_description_is_none(folder):
    folder.write_run({"format": 1})
    assert folder.read_run() == {"format": 1}
    (folder.folder / RUN_FILE).write_text('{"format"')
    assert folder.read_run() == {}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        RunFolder(tmp_path / "file").prepare()
    with pytest.raises(EnvironmentProblem, match="can't be written"):
        RunFolder(tmp_path / "file" / "below").prepare()


def test_a_full_disk_is_said_and_harms_nothing(folder):
    (folder.folder / RESULTS_FILE).symlink_to("/dev/full")
    with pytest.raises(EnvironmentProblem, match=r"No space left.*same command again"):
        folder.append([record()])
    (folder.folder / f".{RUN_FILE}.writing").symlink_to("/dev/full")
    with pytest.raises(EnvironmentProblem, match="No space left"):
        folder.write_run({})
    assert not (folder.folder / RUN_FILE).exists()
