"""What must not stand in the repository: names of machines, ways to run data as code, modules that
have grown past reading."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_MODULE = 450
"""Lines; HOUSE style is about 400, this is where it stops being about."""
LONGEST_TESTS = 600
"""A file of tests is read one test at a time."""

# Spelled in halves, so that this file is clean by its own rule.
REGISTRY_HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "deb." + "debian.org",
    "registry." + "npmjs",
    "download." + "pytorch.org",
]
MACHINE_PATHS = re.compile(r"(?<![\w./~-])/(?:work|root|home/[a-z]\w*)(?:/|\b(?![\w.-]))")


def tracked_files() -> list[Path]:
    """Files under version control and new ones not yet added; ignored ones not."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("not a git checkout, so which files belong to it is not known")
    names = done.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def text_lines() -> Iterator[tuple[str, str]]:
    for path in tracked_files():
        if path.name == "LICENSE":
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_package_registry_is_named() -> None:
    found = [place for place, line in text_lines() if any(host in line for host in REGISTRY_HOSTS)]
    assert found == []


def test_no_path_of_one_machine() -> None:
    found = [
        f"{place}: {line.strip()}" for place, line in text_lines() if MACHINE_PATHS.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "is_bad"),
    [
        ("open('/" + "work/x')", True),
        ("cd /" + "root/x", True),
        ("/" + "home/anna/Music", True),
        ("packaging/work/x", False),
        ("~/" + "root/x", False),
        ("the /worker thread", False),
    ],
)
def test_machine_paths_are_recognised(line: str, is_bad: bool) -> None:
    assert bool(MACHINE_PATHS.search(line)) is is_bad


# Messages between our own processes, over pipes that nobody else holds an end of. What lies on disk
# is never unpickled.
TALKS_TO_ITS_OWN_WORKERS = {
    "songid_desktop/catalog/worker.py",
    "songid_desktop/catalog/protocol.py",
}


def called_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def unguarded_loads(tree: ast.AST) -> Iterator[int]:
    """Calls of torch.load that do not say weights_only=True."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            said = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if said.get("weights_only") != "True":
                yield node.lineno


@pytest.mark.parametrize(
    ("call", "is_guarded"),
    [
        ("torch.load(path, weights_only=True)", True),
        ("torch.load(path, map_location='cpu', weights_only=True)", True),
        ("torch.load(path)", False),
        ("torch.load(path, weights_only=trusted)", False),
    ],
)
def test_unguarded_loads_are_recognised(call: str, is_guarded: bool) -> None:
    assert (list(unguarded_loads(ast.parse(call))) == []) is is_guarded


@pytest.mark.parametrize("path", modules("songid_desktop"), ids=lambda p: str(p.relative_to(ROOT)))
def test_module_keeps_the_house_rules(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    forbidden = {"eval", "exec", "pickle.load", "pickle.loads", "marshal.loads", "os.system"}
    if str(path.relative_to(ROOT)) in TALKS_TO_ITS_OWN_WORKERS:
        forbidden -= {"pickle.loads"}
    bad = [f"line {line}: {name}()" for line, name in called_names(tree) if name in forbidden]
    bad += [
        f"line {line}: numpy loads pickles only when told to"
        for line, name in called_names(tree)
        if name.endswith(".load") and "allow_pickle=True" in text
    ]
    bad += [f"line {line}: weights are read as weights only" for line in unguarded_loads(tree)]
    assert bad == []
    assert len(text.splitlines()) <= LONGEST_MODULE
    assert ast.get_docstring(tree), "a module says what it is for"


def test_tests_stay_readable_too() -> None:
    long = [p.name for p in modules("tests") if len(p.read_text().splitlines()) > LONGEST_TESTS]
    assert long == []


LARGEST_WEIGHTS = 8_000_000
"""Bytes of one shipped model; everything else that large is no source."""


def test_nothing_large_is_kept() -> None:
    models = ROOT / "resources" / "models"
    large = [
        path.name
        for path in tracked_files()
        if path.stat().st_size
        > (
            LARGEST_WEIGHTS
            if path.suffix == ".safetensors" and path.parent == models
            else 2_000_000
        )
    ]
    assert large == []


def test_only_harmless_formats_hold_weights() -> None:
    """A pickle runs code when it is read; safetensors is numbers and JSON."""
    suffixes = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npz", ".onnx", ".h5"}
    assert [path.name for path in tracked_files() if path.suffix in suffixes] == []
