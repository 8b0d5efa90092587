"""What the desktops are told about the program."""

from __future__ import annotations

import ast
import configparser
import plistlib
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import songid_desktop
from songid_desktop.audio.decode import SUPPORTED_SUFFIXES
from tests.support.tools import needed

ROOT = Path(__file__).parents[2]
LINUX = ROOT / "packaging" / "linux"
DESKTOP = LINUX / "songid-desktop.desktop"
METAINFO = LINUX / "songid-desktop.metainfo.xml"
ICON = ROOT / "resources" / "icons" / "app" / "songid-desktop.svg"

# What a file manager would offer the program for, by ending.
MIME_OF_SUFFIX = {
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".opus": "audio/opus",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".wav": "audio/x-wav",
    ".aiff": "audio/x-aiff",
    ".wma": "audio/x-ms-wma",
}


def entry() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DESKTOP, encoding="utf-8")
    return parser["Desktop Entry"]


def test_desktop_entry_is_valid() -> None:
    done = subprocess.run(
        [needed("desktop-file-validate"), DESKTOP], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_metainfo_is_valid() -> None:
    done = subprocess.run(
        [needed("appstreamcli"), "validate", "--no-net", METAINFO],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_desktop_entry_starts_what_the_wheel_installs() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert entry()["Exec"] == "songid-desktop %F"
    assert re.search(r"^songid-desktop = ", pyproject, re.MULTILINE)
    app = (ROOT / "songid_desktop" / "ui" / "app.py").read_text()
    # Wayland finds icon and name of a window by this file's name.
    assert f'setDesktopFileName("{DESKTOP.stem}")' in app


@pytest.mark.parametrize("suffix", sorted(MIME_OF_SUFFIX))
def test_desktop_entry_opens_what_can_be_read(suffix: str) -> None:
    assert suffix in SUPPORTED_SUFFIXES
    assert MIME_OF_SUFFIX[suffix] in entry()["MimeType"].split(";")


def test_icon_is_there() -> None:
    assert entry()["Icon"] == ICON.stem
    assert ET.parse(ICON).getroot().tag.endswith("svg")


def test_one_version_everywhere() -> None:
    version = songid_desktop.__version__
    release = ET.parse(METAINFO).getroot().find("releases/release")
    assert release is not None
    assert release.get("version") == version
    plist = plistlib.loads((ROOT / "packaging" / "macos" / "Info.plist").read_bytes())
    assert plist["CFBundleShortVersionString"] == version
    windows = (ROOT / "packaging" / "windows" / "version.txt").read_text()
    assert windows.count(f'"{version}"') == 2
    assert f"filevers=({version.replace('.', ', ')}, 0)" in windows


def test_macos_is_told_why_the_microphone_is_opened() -> None:
    plist = plistlib.loads((ROOT / "packaging" / "macos" / "Info.plist").read_bytes())
    assert "listens to the music" in plist["NSMicrophoneUsageDescription"]
    rights = plistlib.loads((ROOT / "packaging" / "macos" / "entitlements.plist").read_bytes())
    assert rights["com.apple.security.device.audio-input"] is True
    component = ET.parse(METAINFO).getroot().findtext("id")
    assert plist["CFBundleIdentifier"] == component


def test_windows_version_resource_can_be_read() -> None:
    tree = ast.parse((ROOT / "packaging" / "windows" / "version.txt").read_text(), mode="eval")
    assert isinstance(tree.body, ast.Call)
    assert ast.unparse(tree.body.func) == "VSVersionInfo"


def test_icon_files_of_other_systems_hold_their_pictures(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "packaging" / "icons.py", tmp_path], check=True)
    raw = (tmp_path / "songid-desktop.ico").read_bytes()
    _, kind, count = struct.unpack_from("<3H", raw)
    assert kind == 1
    for number in range(count):
        side, _, _, _, _, _, size, offset = struct.unpack_from("<4B2H2I", raw, 6 + 16 * number)
        picture = raw[offset : offset + size]
        assert picture.startswith(b"\x89PNG")
        assert struct.unpack_from(">2I", picture, 16) == (side or 256, side or 256)
    apple = (tmp_path / "songid-desktop.icns").read_bytes()
    assert struct.unpack_from(">4sI", apple) == (b"icns", len(apple))
    assert (tmp_path / "songid-desktop.png").read_bytes().startswith(b"\x89PNG")
