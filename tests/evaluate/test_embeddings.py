"""The analyses from music to report, with small models."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from songid_desktop.errors import Cancelled, UsageError
from songid_desktop.evaluate import embedding_page
from songid_desktop.evaluate.embedding_vectors import Source
from songid_desktop.evaluate.embeddings import EmbeddingOptions, analyse, measure, read
from songid_desktop.evaluate.page import page, write_page
from songid_desktop.evaluate.plan import Options, Plan, make_plan
from songid_desktop.evaluate.summary import Summary
from songid_desktop.neural.vectors import pack
from songid_desktop.paths import Paths
from songid_desktop.types import CancelToken, FloatArray
from tests.support.cli import Songid, write_wav
from tests.support.music import short_tune

RATE = 4000
HOP_S = 0.25


@dataclass
class Chroma:
    """A stand-in for a model: what frequencies a second holds. Counts its calls."""

    sample_rate: int = RATE
    hop_s: float = HOP_S
    calls: int = 0

    def __call__(self, samples: FloatArray) -> FloatArray:
        self.calls += 1
        step = round(self.hop_s * self.sample_rate)
        count = (len(samples) - self.sample_rate) // step + 1
        if count < 1:
            return np.zeros((0, 60), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.sample_rate)[::step]
        power = np.abs(np.fft.rfft(windows[:count], axis=1))[:, 20:1220]
        bands = np.log(power.reshape(count, 60, 20).mean(axis=2) + 1e-3)
        bands -= bands.mean(axis=1, keepdims=True)
        return (bands / np.linalg.norm(bands, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for number in range(12):
        place = folder / f"album {number % 3}"
        place.mkdir(exist_ok=True)
        write_wav(place / f"<tune> {number}.wav", short_tune(number, 14.0, RATE), RATE)
    write_wav(folder / "short.wav", short_tune(40, 2.0, RATE), RATE)
    return folder


def options(music: Path, out: Path, **changes: object) -> EmbeddingOptions:
    base = EmbeddingOptions(
        out=out,
        catalog_from=music,
        stretch_s=12.0,
        lengths_s=(2.0, 5.0),
        conditions="clean,white10,white0",
        jobs=1,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def plan_of(chosen: EmbeddingOptions) -> Plan:
    assert chosen.catalog_from is not None
    return make_plan(
        Options(
            chosen.catalog_from,
            chosen.out,
            queries=chosen.tracks,
            lengths_s=chosen.lengths_s,
            conditions=chosen.conditions,
        )
    )


def source(name: str, encoder: Chroma, stored: object = None) -> Source:
    made = Source(name, f"digest of {name}", lambda: encoder)
    return made if stored is None else replace(made, stored=stored)  # type: ignore[arg-type]


def analysed(chosen: EmbeddingOptions, *sources: Source) -> dict[str, object]:
    return analyse(plan_of(chosen), sources, chosen, progress=lambda *_: None)


@pytest.fixture(scope="module")
def found(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    analysed(options(music, out), source("A", Chroma()), source("B & co", Chroma(hop_s=0.5)))
    return out


def test_every_analysis_is_there_for_every_model(found: Path) -> None:
    result = read(found)
    tracks = len(result["tracks"])
    assert tracks >= 9
    assert result["left_out"] <= 1
    assert result["grouped_by"] == "folder"
    assert {*result["groups"]} <= {"album 0", "album 1", "album 2"}
    assert list(result["models"]) == ["A", "B & co"]
    for model in result["models"].values():
        assert len(model["places"]) == tracks
        assert len(model["most_alike"]["triplets"]) == 5
        most = [one["cosine"] for one in model["most_alike"]["triplets"]]
        least = [one["cosine"] for one in model["least_alike"]["triplets"]]
        assert most == sorted(most, reverse=True)
        assert least == sorted(least)
        assert most[-1] >= least[-1]
        inside = model["least_alike"]["tracks"]
        cosines = np.asarray(model["least_alike"]["cosines"])
        assert cosines.shape == (len(inside), len(inside))
        assert np.diag(cosines) == pytest.approx(np.ones(len(inside)), abs=1e-3)


def test_similarity_falls_with_the_noise(found: Path) -> None:
    kinds = {one["name"]: one for one in read(found)["models"]["A"]["similarity"]["kinds"]}
    assert [*kinds] == [
        "same moment, clean", "same moment, white10", "same moment, white0",
        "same track, elsewhere", "other tracks",
    ]  # fmt: skip
    assert kinds["same moment, clean"]["mean"] > kinds["same moment, white0"]["mean"]
    assert kinds["same moment, clean"]["mean"] > kinds["other tracks"]["mean"]
    for kind in kinds.values():
        assert sum(kind["shares"]) == pytest.approx(100.0, abs=0.1)


def test_clean_clips_find_their_tracks(found: Path) -> None:
    for cell in read(found)["models"]["A"]["retrieval"]:
        assert cell["top1"] <= cell["top5"] <= cell["clips"] == len(read(found)["tracks"])
        if (cell["way"], cell["condition"]) == ("place", "clean"):
            assert cell["top1"] >= 0.9 * cell["clips"]


def test_what_was_made_is_not_made_again(music: Path, tmp_path: Path) -> None:
    encoder, second = Chroma(), Chroma(hop_s=0.5)
    chosen = options(music, tmp_path, conditions="clean", lengths_s=(2.0,))
    first = analysed(chosen, source("A", encoder))
    calls = encoder.calls
    again = analysed(chosen, source("A", encoder), source("B", second))
    assert encoder.calls == calls
    assert second.calls == calls
    models = again["models"], first["models"]
    assert models[0]["A"]["retrieval"] == models[1]["A"]["retrieval"]  # type: ignore[index]
    for kept in (tmp_path / "embeddings").rglob("*.npz"):
        kept.write_bytes(kept.read_bytes()[:100])  # a disk that lost something
    analysed(chosen, source("A", encoder))
    assert encoder.calls == 2 * calls


def test_stored_vectors_are_taken_from_the_catalog(music: Path, tmp_path: Path) -> None:
    from songid_desktop.audio.decode import decode

    encoder, asked = Chroma(), []

    def stored(path: Path) -> bytes | None:
        asked.append(path)
        if path.name.endswith(" 5.wav"):
            return b"damaged"
        return pack(Chroma()(decode(path, RATE).samples), HOP_S)

    chosen = options(music, tmp_path, conditions="clean", lengths_s=(2.0,))
    result = analysed(chosen, source("A", encoder, stored))
    many = len(result["tracks"])  # type: ignore[arg-type]
    assert len(asked) >= many
    assert encoder.calls <= many + 1  # the clips, and the stretch of the damaged one
    cells = result["models"]["A"]["retrieval"]  # type: ignore[index]
    assert next(one for one in cells if one["way"] == "place")["top1"] >= 0.9 * many


def test_clips_shorter_than_a_window_are_left_empty(music: Path, tmp_path: Path) -> None:
    chosen = options(music, tmp_path, conditions="clean", lengths_s=(0.5, 5.0))
    result = analysed(chosen, source("A", Chroma()))
    cells = result["models"]["A"]["retrieval"]  # type: ignore[index]
    assert {one["length_s"] for one in cells} == {5.0}
    title, head, rows = embedding_page.tables(result)[0]
    assert "Top-1" in title
    assert rows[0][head.index("A, 0.5 s")] == "–"


def test_cancel_keeps_what_was_made(music: Path, tmp_path: Path) -> None:
    cancel, encoder = CancelToken(), Chroma()
    chosen = options(music, tmp_path, conditions="clean", lengths_s=(2.0,))
    with pytest.raises(Cancelled):
        analyse(
            plan_of(chosen),
            [source("A", encoder)],
            chosen,
            progress=lambda _stage, done, _total: done == 3 and cancel.set(),
            cancel=cancel,
        )
    kept = len([*(tmp_path / "embeddings").rglob("*.npz")])
    assert encoder.calls == 2 * kept
    assert kept <= 3
    assert read(tmp_path) == {}


def test_too_few_tracks_are_a_sentence(music: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Only 3 of 3 tracks can be used"):
        analysed(options(music / "album 0", tmp_path, tracks=3), source("A", Chroma()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"catalog_from": None}, "give --catalog-from"),
        ({"models": ("no-such",)}, "no model called “no-such”"),
        ({"conditions": "silence"}, "need clips of music"),
        ({"stretch_s": 3.0}, "--stretch"),
        ({"stretch_s": float("nan")}, "--stretch"),
        ({"conditions": "loud"}, "no condition “loud”"),
    ],
)
def test_wrong_options_are_a_sentence(
    music: Path, tmp_path: Path, paths: Paths, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        measure(options(music, tmp_path, **changes), paths)


# -- the page ------------------------------------------------------------------------------------


def test_the_report_shows_the_models_side_by_side(found: Path) -> None:
    summary = Summary.read(found)
    text = page(summary)
    for title in ("How alike pairs", "t-SNE) by folder", "most alike", "least alike"):
        assert title in text
    assert text.count("<figcaption>B &amp; co</figcaption>") == 4
    assert "<tune>" not in text
    drawn = text.split("<svg")[1:]
    assert len(drawn) >= 8
    for one in drawn:
        ET.fromstring("<svg" + one.partition("</svg>")[0] + "</svg>")
    assert write_page(found, summary).is_file()


def test_the_figures_are_in_the_json(found: Path) -> None:
    said = Summary.read(found).as_object()["embeddings"]
    json.dumps(said, allow_nan=False)
    assert {*said["models"]["A"]} == {
        "digest", "retrieval", "similarity", "most_alike", "least_alike",
    }  # fmt: skip


def test_a_heat_map_shows_every_cosine() -> None:
    cosines = [[1.0, 0.25], [-0.5, 1.0]]
    drawn = ET.fromstring(embedding_page.heat_map(cosines, [3, 9], "x & y"))
    texts = [one.text for one in drawn.iter("text")]
    assert texts.count("3") == texts.count("9") == 2
    assert {"1", ".25", "-.50"} <= set(texts)


def test_cosines_close_together_get_a_digit_more() -> None:
    assert ">-0<" not in embedding_page.heat_map([[1.0, -0.004], [-0.004, 1.0]], [1, 2], "x")
    drawn = embedding_page.heat_map([[1.0, 0.9842], [0.9842, 1.0]], [1, 2], "x")
    assert drawn.count(">.984<") == 2


# -- with models of the program ------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_with_a_random_model(music: Path, tmp_path: Path, songid: Songid) -> None:
    from songid_desktop.neural.weights import save
    from tests.support.encoders import BASELINE, CNN, encoder

    weights = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for path, model in zip(weights, (CNN, BASELINE), strict=True):
        save(path, encoder(model), model, {"licence": "none"})
    done = songid.run(
        "evaluate", "embeddings", "--catalog-from", music, "--out", tmp_path / "out", "--models",
        ",".join(map(str, weights)), "--stretch", "10", "--lengths", "2", "--conditions", "clean",
        "--jobs", "2", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    said = done.json_line()
    assert [*said["embeddings"]["models"]] == ["one", "two"]
    assert (tmp_path / "out" / "report.html").is_file()
    shown = songid.run("evaluate", "report", tmp_path / "out")
    assert "Top-1 and Top-5 (%) by one vector a clip" in shown.out


@pytest.fixture
def songid(tmp_path: Path) -> Songid:
    return Songid(tmp_path / "base")


def test_too_few_tracks_are_told_before_anything_is_made(tmp_path: Path, paths: Paths) -> None:
    (tmp_path / "music").mkdir()
    for number in range(3):
        write_wav(tmp_path / "music" / f"{number}.wav", short_tune(number, 20.0))
    options = EmbeddingOptions(tmp_path / "out", catalog_from=tmp_path / "music")
    with pytest.raises(UsageError, match="need 5 tracks or more"):
        measure(options, paths)
    assert not (tmp_path / "out").exists()
