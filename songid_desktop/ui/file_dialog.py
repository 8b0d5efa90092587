"""Dress Qt's own file dialog, which stands in where the desktop has none, in our look."""

from __future__ import annotations

from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QDialogButtonBox, QFileDialog, QPushButton, QToolButton

from songid_desktop.ui import icons, theme

_ICONS = {
    "backButton": ("chevron-left", "Back"),
    "forwardButton": ("chevron-right", "Forward"),
    "toParentButton": ("chevron-up", "The folder above"),
    "newFolderButton": ("folder-add", "New folder"),
    "listModeButton": ("list", "Names only"),
    "detailModeButton": ("details", "Names, sizes and dates"),
}


def dress(dialog: QFileDialog) -> QFileDialog:
    """Icons and sizes of the window for a dialog that Qt draws itself; a desktop's own dialog has
    none of these parts and is left alone."""
    for button in dialog.findChildren(QToolButton):
        known = _ICONS.get(button.objectName())
        if known is not None:
            theme.set_role(button, "icon")
            icons.set_icon(button, known[0])
            button.setToolTip(known[1])
            button.setAccessibleName(known[1])
    for box in dialog.findChildren(QDialogButtonBox):
        for push in box.findChildren(QPushButton):
            push.setIcon(QIcon())
    if dialog.findChildren(QToolButton):
        dialog.resize(760, 520)
    return dialog
