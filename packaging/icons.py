"""Makes the icon files that macOS and Windows want from the one SVG:

python packaging/icons.py FOLDER      writes songid-desktop.ico, .icns and .png there

Both containers may hold PNG pictures as they are, so all it takes is a header around them.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QBuffer, QIODevice, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SOURCE = Path(__file__).parents[1] / "resources" / "icons" / "app" / "songid-desktop.svg"
ICO_SIZES = (16, 20, 24, 32, 40, 48, 64, 256)
ICNS_KINDS = {b"ic11": 32, b"ic12": 64, b"ic07": 128, b"ic08": 256, b"ic09": 512, b"ic10": 1024}


def png(renderer: QSvgRenderer, size: int) -> bytes:
    """The drawing as a square PNG with `size` pixels a side."""
    image = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(buffer.data().data())


def ico(pictures: dict[int, bytes]) -> bytes:
    """Windows' container: a directory of 16-byte entries, then the pictures."""
    offset = 6 + 16 * len(pictures)
    entries, data = b"", b""
    for size, picture in pictures.items():
        side = size % 256  # 0 stands for 256
        entries += struct.pack("<4B2H2I", side, side, 0, 0, 1, 32, len(picture), offset + len(data))
        data += picture
    return struct.pack("<3H", 0, 1, len(pictures)) + entries + data


def icns(pictures: dict[bytes, bytes]) -> bytes:
    """Apple's container: kind, length and picture, one after the other."""
    data = b"".join(
        kind + struct.pack(">I", 8 + len(picture)) + picture for kind, picture in pictures.items()
    )
    return b"icns" + struct.pack(">I", 8 + len(data)) + data


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    app = QGuiApplication.instance() or QGuiApplication([])
    renderer = QSvgRenderer(str(SOURCE))
    if not renderer.isValid():
        raise SystemExit(f"{SOURCE} is no drawing that Qt can read.")
    name = SOURCE.stem
    (folder / f"{name}.ico").write_bytes(ico({size: png(renderer, size) for size in ICO_SIZES}))
    (folder / f"{name}.icns").write_bytes(
        icns({kind: png(renderer, size) for kind, size in ICNS_KINDS.items()})
    )
    (folder / f"{name}.png").write_bytes(png(renderer, 512))
    del app


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
