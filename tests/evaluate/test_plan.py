import pytest

from songid_desktop.errors import UsageError
from songid_desktop.evaluate.plan import Options, make_plan
from tests.support.music import write_short_tunes


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    write_short_tunes(folder, 12, 1.0)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_short_tunes(folder, 6, 1.0)
    roles = ["train", "query", "absent", "validation", "validation_absent", "distractor", "query"]
    lines = [f"tune {number:03}.wav,{role}" for number, role in enumerate(roles)]
    (folder / "manifest.csv").write_text("path,role\n" + "\n".join(lines) + "\n")
    return folder


def plan(folder, **values):
    return make_plan(Options(catalog_from=folder, out=folder, **values))


def test_roles_of_a_manifest_are_honoured(corpus):
    made = plan(corpus)
    assert made.has_manifest
    assert made.enrolled == tuple(f"tune {n:03}.wav" for n in (0, 1, 3, 5))
    assert made.queries == ("tune 001.wav",)
    assert made.absent == ("tune 002.wav",)
    assert any("1 files of the manifest" in note for note in made.notes)


def test_the_side_to_develop_on_asks_for_other_tracks(corpus):
    made = plan(corpus, split="train")
    assert made.queries == ("tune 003.wav",)
    assert made.absent == ("tune 004.wav",)
    assert not {"tune 002.wav", "tune 004.wav"} & set(made.enrolled)


def test_without_a_manifest_some_tracks_are_left_out(music):
    made = plan(music)
    assert len(made.absent) == 1
    assert set(made.queries) == set(made.enrolled)
    assert not set(made.absent) & set(made.enrolled)
    assert len(made.enrolled) == 11
    assert "generated" in made.scene.rooms_are


@pytest.fixture
def data_set(tmp_path):
    write_short_tunes(tmp_path, 12, 1.0)
    splits = ["train"] * 5 + ["validation"] * 3 + ["test"] * 4 + ["test"]
    rows = [f"{number},tune {number:03}.wav,{split}" for number, split in enumerate(splits)]
    (tmp_path / "metadata.csv").write_text("track_id,path,split\n" + "\n".join(rows) + "\n")
    return tmp_path


def test_a_data_set_is_asked_for_what_it_held_out(data_set):
    made = plan(data_set)
    test = {f"tune {number:03}.wav" for number in range(8, 12)}
    assert made.has_manifest
    assert set(made.queries) | set(made.absent) == test
    assert len(made.absent) == 1
    assert set(made.enrolled) == {f"tune {n:03}.wav" for n in range(12)} - set(made.absent)
    validation = plan(data_set, split="train")
    assert set(validation.queries) <= {f"tune {number:03}.wav" for number in range(5, 8)}


def test_a_data_set_that_held_nothing_out_is_a_sentence(data_set):
    (data_set / "metadata.csv").write_text("path,split\ntune 000.wav,train\n")
    with pytest.raises(UsageError, match="no file the split “test”"):
        plan(data_set)


def test_another_table_of_that_name_is_none_of_ours(data_set):
    (data_set / "metadata.csv").write_text("song,likes\ntune 000.wav,3\n")
    assert len(plan(data_set).enrolled) == 11


def test_the_catalog_is_the_same_whatever_is_asked(music):
    assert plan(music, conditions="clean,silence").enrolled == plan(music).enrolled


def test_absent_music_may_come_from_elsewhere(music, corpus):
    made = plan(music, absent_from=corpus)
    assert len(made.enrolled) == 12
    assert made.absent_root == corpus
    assert len(made.absent) == 6


def test_the_seed_decides_and_more_queries_hold_the_fewer(music):
    assert plan(music, seed=3) == plan(music, seed=3)
    assert plan(music, seed=3).queries != plan(music, seed=4).queries
    few, many = plan(music, queries=3).queries, plan(music, queries=7).queries
    assert len(few) == 3
    assert many[:3] == few


def test_a_limited_catalog_holds_who_is_asked_for_and_some_others(music):
    made = plan(music, queries=3, catalog_tracks=5)
    assert len(made.enrolled) == 5
    assert set(made.queries) < set(made.enrolled) < set(plan(music).enrolled)
    assert made.absent == plan(music).absent


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"catalog_tracks": 2}, "fewer than the 11 tracks"),
        ({"conditions": "clean,loud"}, "no condition “loud”.*room-5"),
        ({"lengths_s": ()}, "--lengths"),
        ({"lengths_s": (float("nan"),)}, "--lengths"),
        ({"draws": 0}, "--draws"),
        ({"split": "other"}, "--split is one of eval, train"),
        ({"catalog_sizes": (0,)}, "--catalog-sizes"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(music, values, said):
    with pytest.raises(UsageError, match=said):
        plan(music, **values)


def test_folders_that_are_not_there_or_hold_no_music_are_refused(tmp_path, music):
    with pytest.raises(UsageError, match="is not there"):
        plan(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no music"):
        plan(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        plan(music / "tune 000.wav")
    with pytest.raises(UsageError, match="--absent-from"):
        plan(music, absent_from=tmp_path)


def test_a_manifest_that_fits_nothing_is_refused(tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("file,part\na.wav,query\n")
    with pytest.raises(UsageError, match="columns path and role"):
        plan(tmp_path)
    manifest.write_text("path,role\na.wav,query\n")
    with pytest.raises(UsageError, match="None of the files"):
        plan(tmp_path)
    write_short_tunes(tmp_path, 1, 1.0)
    manifest.write_text("path,role\ntune 000.wav,train\n")
    with pytest.raises(UsageError, match="role “query”"):
        plan(tmp_path)
