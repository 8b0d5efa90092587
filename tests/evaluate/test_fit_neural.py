"""Fitting a learned identifier's probability: what it needs of a curve, and that it keeps to it."""

import numpy as np
import pytest

from songid_desktop.evaluate import fit_neural
from songid_desktop.evaluate.fit_library import Prints
from songid_desktop.evaluate.fit_neural_looks import Row
from songid_desktop.identify.neural_calibration import RIVALS, SIGNS, Lead
from songid_desktop.neural.vectors import HEAD_BYTES, unpack
from tests.support.vector_library import fine, stored


def rows(count=400, seed=0):
    """Looks at tracks that are there, with a lead, and at others, without."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        is_enrolled = number % 2 == 0
        clip_s = float(random.choice([1.0, 2.0, 5.0, 10.0]))
        rivals = np.sort(random.normal(0.35 - 0.05 * np.log(clip_s), 0.03, RIVALS))[::-1]
        score = rivals[0] + abs(
            random.normal(0.15 if is_enrolled else 0.0, 0.05 if is_enrolled else 0.02)
        )
        lead = Lead(float(score), 0.2, tuple(rivals.tolist()), clip_s)
        made.append(
            Row(
                path=f"track {number % 40}",
                first="track",
                condition="clean",
                length_s=clip_s,
                is_enrolled=is_enrolled,
                is_right=is_enrolled,
                lead=lead,
                offset_error_s=0.01 if is_enrolled else None,
            )
        )
    return made


def test_a_fit_keeps_to_the_signs_and_tells_right_from_wrong():
    looks = rows()
    curve = fit_neural.fit(looks, fit_neural.typical_rival(looks))
    for weight, sign in zip(curve.weights, SIGNS, strict=True):
        assert weight * sign >= 0.0
    said = np.array([curve.probability(row.lead) for row in looks])
    right = np.array([row.is_right for row in looks])
    assert said[right].mean() > 0.8
    assert said[~right].mean() < 0.1


def test_what_is_expected_of_a_rival_follows_from_absent_music():
    constant, slope, above = fit_neural.typical_rival(rows())
    assert constant == pytest.approx(0.42, abs=0.05)
    assert slope < 0.0
    assert 0.02 < above < 0.12


def test_a_report_has_every_figure(capsys):
    looks = rows()
    said = fit_neural.cross_validated(looks)
    figures = fit_neural.report(looks, said)
    assert {"clean 1 s", "clean 10 s", "calibration error"} <= set(figures)
    assert any(key.startswith("recall at 1 %") for key in figures)
    assert "top-1 100.0" in figures["clean 5 s"]
    assert "absent: match" in figures["clean 5 s"]
    assert "median 0.0100" in capsys.readouterr().out


def test_looks_are_kept_and_come_back(tmp_path):
    looks = rows(20)
    fit_neural._keep(looks, tmp_path / "looks.json")
    assert fit_neural._kept_rows(tmp_path / "looks.json") == looks


def test_prints_in_a_folder_are_read_as_a_catalog_is(tmp_path):
    prints = Prints(tmp_path, ["a.ogg", "b.ogg"])
    for number, path in enumerate(prints.paths):
        prints.file(path).write_bytes(stored(fine(number)[::2]).payload)
    changes = list(prints.changes("cnn", "digest", 0))
    assert [change.track_id for change in changes] == [1, 2]
    assert prints.fingerprint_count("cnn", "digest") == prints.revision() == 2
    whole = unpack(changes[1].fingerprint.payload).values
    part = prints.payload_part("cnn", "digest", 2, HEAD_BYTES + 32 * 5, 64)
    assert np.frombuffer(part, np.int8).reshape(2, 32).tolist() == whole[5:7].tolist()


def test_an_unknown_model_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="no model called"):
        fit_neural.main([str(tmp_path), "--work", str(tmp_path), "--model", "ouija"])
