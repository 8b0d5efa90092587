"""A tiny stand-in for the project, set up by the real scripts: no dependencies, so an environment
is made in seconds and without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

PYPROJECT = """\
[build-system]
requires = []
build-backend = "tiny_backend"
backend-path = ["."]

[project]
name = "songid-desktop"
version = "{version}"
dependencies = [{dependencies}]

[project.scripts]
songid = "songid_desktop:main"
"""

# What a build backend must be able to do for `pip install --editable`, and nothing more.
BACKEND = """
import base64, hashlib, pathlib, tomllib, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    root = pathlib.Path(__file__).parent
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    version = project["version"]
    info = f"songid_desktop-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\\n" for need in project["dependencies"])
    files = {
        "songid_tiny.pth": str(root) + "\\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: songid-desktop\\nVersion: {version}\\n"
        "Provides-Extra: test\\n" + needs,
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/entry_points.txt": "[console_scripts]\\nsongid = songid_desktop:main\\n",
    }
    record = "".join(
        f"{name},sha256="
        + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        + f",{len(text.encode())}\\n"
        for name, text in files.items()
    )
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\\n"
    name = f"songid_desktop-{version}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"""

PACKAGE = """
import sys
def main():
    print("arguments:", sys.argv[1:])
    return 7 if "fail" in sys.argv else 0
"""


@dataclass
class FakeProject:
    """A checkout at `root` that answers with its arguments, and an environment to start it in."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, root: Path, packaging: Path) -> FakeProject:
        (root / "songid_desktop").mkdir(parents=True)
        (root / "packaging").mkdir()
        for script in ("run.sh", "setup.sh", "system.sh"):
            shutil.copy(packaging / script, root / "packaging" / script)
        (root / "packaging" / "constraints.txt").write_text("")
        (root / "tiny_backend.py").write_text(BACKEND)
        (root / "songid_desktop" / "__init__.py").write_text(PACKAGE)
        project = cls(root)
        project.declare("1.0")
        return project

    def declare(self, version: str, *dependencies: str) -> None:
        quoted = ", ".join(f'"{name}"' for name in dependencies)
        (self.root / "pyproject.toml").write_text(
            PYPROJECT.format(version=version, dependencies=quoted)
        )

    def variables(self, **changes: str) -> dict[str, str]:
        return {
            **os.environ,
            "SONGID_SETUP_SYSTEM": "no",
            "PIP_NO_INDEX": "1",
            "PIP_RETRIES": "0",
            "DISPLAY": ":none",
            **self.environment,
            **changes,
        }

    def command(self, *arguments: str) -> list[str]:
        return ["bash", str(self.root / "packaging" / "run.sh"), *arguments]

    def start(
        self, *arguments: str, cwd: Path = Path("/"), **changes: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd,
            env=self.variables(**changes),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def put_program(self, folder: Path, name: str, script: str) -> str:
        """A program called `name` that is found before the real one; returns the PATH to use."""
        folder.mkdir(exist_ok=True)
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"
