"""A manifest that is no manifest is damage with a sentence, whatever it holds."""

from pathlib import Path

import pytest

from songid_desktop.landmark.manifest import read_manifest
from songid_desktop.manifest import MANIFEST, ManifestDamaged


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b'{"x"', b"1e999", b"[" * 100_000])
def test_any_other_content_is_damage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(ManifestDamaged, match="manifest"):
        read_manifest(tmp_path, "digest")
