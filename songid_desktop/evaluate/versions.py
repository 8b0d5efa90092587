"""What a figure was measured with: versions of the program and its libraries, and a digest of the
code that decides the answers."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from songid_desktop import __version__
from songid_desktop.paths import resource

_ANSWERING = ("types.py", "audio", "dsp", "landmark", "neural", "identify")
_MEASURING = ("acoustics", "backgrounds", "clips", "codecs", "conditions", "looks", "surroundings")


@functools.lru_cache(maxsize=1)
def build_digest() -> str:
    """Changes with everything that can change an answer: code (comments and docstrings left out)
    and shipped numbers. Results of another build are measured again."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256(__version__.encode())
    for path in sorted(_sources(package)):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(_meaning(path))
    for path in sorted(resource("calibration").glob("*.json")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _sources(package: Path) -> Iterator[Path]:
    for name in _ANSWERING:
        place = package / name
        yield from [place] if place.is_file() else place.rglob("*.py")
    for name in _MEASURING:
        # An installed program may come without its sources; then the version speaks for them.
        place = package / "evaluate" / f"{name}.py"
        if place.is_file():
            yield place


def _meaning(path: Path) -> bytes:
    """A source file without what does not matter."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]
    return ast.dump(tree).encode("utf-8", "backslashreplace")


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def versions() -> dict[str, str]:
    """Names and versions, for the report."""
    found = {"SongID Desktop": __version__, "build": build_digest()}
    found["Python"] = platform.python_version()
    for name in ("numpy", "scipy", "av"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    found["system"] = f"{platform.system()} {platform.machine()}, {os.cpu_count() or '?'} cores"
    return found
