"""Fit the music measure of the signal screen.

    python -m songid_desktop.evaluate.fit_screen CORPUS [--write]

Music: clips of the corpus's `train` tracks (fit) and `validation` / `validation_absent` tracks
(threshold), as they are and in the `train` rooms with background at 10 and 0 dB A-weighted.
Singing: `singing.sing`, half of the voices for the fit and half for the threshold.
Not music: the `train` noise recordings (talkers, crowds, traffic, water, …), and eSpeak talkers
where espeak-ng is installed.
Nothing of the evaluation side is opened.

The threshold is the score that one music clip in four hundred falls under, over all lengths and
conditions of the validation tracks, or that one sung clip in four hundred does, whichever is
lower: better to leave talk at "not in your library" than to deny music.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.decode import decode, probe
from songid_desktop.dsp.weighting import a_weighted_level_db
from songid_desktop.errors import AudioFileError
from songid_desktop.evaluate.singing import sing
from songid_desktop.identify.music import FEATURE_NAMES, RATE_HZ, music_features
from songid_desktop.paths import resource
from songid_desktop.types import AudioBlock, FloatArray

LENGTHS_S = (2.0, 5.0, 10.0)
CONDITIONS: tuple[tuple[str, float | None], ...] = (
    ("clean", None),
    ("room10", 10.0),
    ("room0", 0.0),
)
RATE = 16_000
DENIED_SHARE = 0.0025
SILENT_RMS = 1e-3
RIDGE = 1e-3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip's features and where it comes from."""

    group: str
    condition: str
    length_s: float
    features: Floats


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _cut(path: Path, start_s: float, length_s: float) -> FloatArray | None:
    try:
        block = decode(path, RATE, start_s=start_s, length_s=length_s)
    except AudioFileError:
        return None
    samples = block.samples
    is_short = len(samples) < 0.95 * length_s * RATE
    if is_short or float(np.sqrt(np.mean(samples**2))) < SILENT_RMS:
        return None
    return samples


class Surroundings:
    """Rooms and noises of the corpus's `train` side."""

    def __init__(self, corpus: Path) -> None:
        rows = [row for row in _rows(corpus / "noise_rooms.csv") if row["split"] == "train"]
        self.noises = [corpus / row["path"] for row in rows if row["kind"] == "noise"]
        rooms = [corpus / row["path"] for row in rows if row["kind"] == "room"]
        self._rooms = [decode(path, RATE).samples for path in rooms]
        self._noises = [decode(path, RATE).samples for path in self.noises]

    def noise(self, rng: np.random.Generator, samples: int) -> FloatArray:
        """A stretch of any noise."""
        whole = self._noises[int(rng.integers(len(self._noises)))]
        begin = int(rng.integers(max(1, len(whole) - samples)))
        return np.resize(whole[begin:], samples)

    def hear(self, rng: np.random.Generator, music: FloatArray, snr_db: float) -> FloatArray:
        """`music` in one of the rooms, with background at `snr_db` A-weighted."""
        room = self._rooms[int(rng.integers(len(self._rooms)))]
        size = 1 << (len(music) + len(room)).bit_length()
        wet = np.fft.irfft(np.fft.rfft(music, size) * np.fft.rfft(room, size), size)[: len(music)]
        noise = self.noise(rng, len(music))
        gain_db = a_weighted_level_db(wet, RATE) - a_weighted_level_db(noise, RATE) - snr_db
        if not np.isfinite(gain_db):
            return np.asarray(wet, np.float32)
        return np.asarray(wet + noise * 10.0 ** (gain_db / 20.0), np.float32)


def _measure(group: str, condition: str, samples: FloatArray) -> Sample:
    length_s = len(samples) / RATE
    return Sample(group, condition, round(length_s), music_features(AudioBlock(samples, RATE)))


def _music(
    corpus: Path, roles: tuple[str, ...], group: str, around: Surroundings, rng: np.random.Generator
) -> Iterator[Sample]:
    for row in _rows(corpus / "manifest.csv"):
        if row["role"] not in roles:
            continue
        path = corpus / row["path"]
        duration_s = probe(path).duration_s or float(row["duration_s"])
        for length_s in LENGTHS_S:
            for condition, snr_db in CONDITIONS:
                begin_s = float(rng.uniform(0, max(0.1, duration_s - length_s)))
                clip = _cut(path, begin_s, length_s)
                if clip is None:
                    continue
                heard = clip if snr_db is None else around.hear(rng, clip, snr_db)
                yield _measure(group, condition, heard)


def _not_music(around: Surroundings, rng: np.random.Generator) -> Iterator[Sample]:
    for path in around.noises:
        duration_s = probe(path).duration_s or 10.0
        for length_s in LENGTHS_S:
            for _ in range(6):
                clip = _cut(path, float(rng.uniform(0, max(0.1, duration_s - length_s))), length_s)
                if clip is not None:
                    yield _measure("noise", path.stem, clip)
    for samples in _espeak(_TALK, rng):
        yield _measure("noise", "espeak", samples)


def _singing(around: Surroundings, rng: np.random.Generator) -> Iterator[Sample]:
    for seed in range(150):
        for length_s in LENGTHS_S:
            voice = sing(length_s, RATE, 1000 * seed + int(length_s))
            yield _measure("singing", "clean", voice)
            if seed % 3 == 0:
                yield _measure("singing", "room10", around.hear(rng, voice, 10.0))


_TALK = (
    "The ferry leaves at ten past nine from the northern pier, and the next one only at noon.",
    "I told him twice that the key was under the stone, but of course he had already gone home.",
    "Please put the parcels on the table, wash your hands, and tell me what happened at work.",
)
_VOICES = ("en-gb", "en-us+f3", "de+m4", "fr+f2", "es+m7", "it+f4", "ru+m2", "pl+f5")


def _espeak(texts: tuple[str, ...], rng: np.random.Generator) -> Iterator[FloatArray]:
    """Talkers of eSpeak NG, where it is installed."""
    if shutil.which("espeak-ng") is None:
        return
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "talk.wav"
        for voice in _VOICES:
            for text in texts:
                pace = str(int(rng.integers(120, 200)))
                command = ["espeak-ng", "-v", voice, "-s", pace, "-w", str(target), text]
                subprocess.run(command, check=True, capture_output=True)
                spoken = decode(target, RATE).samples
                for length_s in LENGTHS_S[:2]:
                    count = round(length_s * RATE)
                    if len(spoken) >= count:
                        yield spoken[:count]


def fit(positive: Floats, negative: Floats) -> tuple[Floats, Floats, Floats, float]:
    """Logistic regression by Newton's method, both classes weighing the same.

    Returns
    -------
    mean, scale, weights : arrays, shape (features,)
    constant : float
    """
    data = np.vstack([positive, negative])
    mean, scale = data.mean(axis=0), data.std(axis=0) + 1e-9
    design = np.hstack([(data - mean) / scale, np.ones((len(data), 1))])
    target = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
    importance = np.r_[
        np.full(len(positive), 0.5 / len(positive)), np.full(len(negative), 0.5 / len(negative))
    ]
    weights = np.zeros(design.shape[1])
    ridge = RIDGE * np.eye(len(weights))
    for _ in range(50):
        probability = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (importance * (probability - target)) + ridge @ weights
        curve = (design * (importance * probability * (1 - probability))[:, None]).T @ design
        step = np.linalg.solve(curve + ridge, slope)
        weights -= step
        if float(np.abs(step).max()) < 1e-9:
            break
    return mean, scale, weights[:-1], float(weights[-1])


def _scores(samples: list[Sample], model: tuple[Floats, Floats, Floats, float]) -> Floats:
    mean, scale, weights, constant = model
    data = np.array([sample.features for sample in samples])
    return np.asarray(1.0 / (1.0 + np.exp(-((data - mean) / scale @ weights + constant))))


def _report(title: str, samples: list[Sample], scores: Floats, threshold: float) -> dict[str, str]:
    """Share under the threshold, by condition and length, on stderr; the same as data."""
    shares = {}
    keys = sorted({(sample.condition, sample.length_s) for sample in samples})
    for condition, length_s in keys:
        chosen = [
            score < threshold
            for sample, score in zip(samples, scores, strict=True)
            if (sample.condition, sample.length_s) == (condition, length_s)
        ]
        shares[f"{condition} {length_s:g} s"] = f"{sum(chosen)} of {len(chosen)}"
    total = f"{int((scores < threshold).sum())} of {len(scores)}"
    sys.stderr.write(f"{title}: called no music {total}\n")
    for key, share in shares.items():
        sys.stderr.write(f"    {key}: {share}\n")
    return {"all": total, **shares}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--write", action="store_true", help="store the numbers as shipped")
    args = parser.parse_args()
    rng = np.random.default_rng(20)
    around = Surroundings(args.corpus)
    train = list(_music(args.corpus, ("train",), "train", around, rng))
    held_out = ("validation", "validation_absent")
    validation = list(_music(args.corpus, held_out, "validation", around, rng))
    noise = list(_not_music(around, rng))
    singing = list(_singing(around, rng))
    fitted, judged = singing[::2], singing[1::2]
    model = fit(
        np.array([sample.features for sample in train + fitted]),
        np.array([sample.features for sample in noise]),
    )
    music, sung = _scores(validation, model), _scores(judged, model)
    threshold = float(min(np.quantile(music, DENIED_SHARE), np.quantile(sung, DENIED_SHARE)))
    report = {
        "music": _report("music (validation)", validation, music, threshold),
        "singing": _report("singing", judged, sung, threshold),
        "noise": _report("noise and talk (train)", noise, _scores(noise, model), threshold),
    }
    mean, scale, weights, constant = model
    stored = {
        "provenance": "songid_desktop.evaluate.fit_screen: weights from train tracks, made singing "
        "and train noises; threshold from validation tracks and other made singing",
        "features": list(FEATURE_NAMES),
        "rate_hz": RATE_HZ,
        "mean": [round(float(value), 6) for value in mean],
        "scale": [round(float(value), 6) for value in scale],
        "weights": [round(float(value), 6) for value in weights],
        "constant": round(constant, 6),
        "threshold": round(threshold, 6),
        "called_no_music": report,
    }
    text = json.dumps(stored, indent=1, ensure_ascii=False)
    if args.write:
        resource("calibration", "screen.json").write_text(text + "\n", encoding="utf-8")
    else:
        sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
