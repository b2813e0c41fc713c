"""Who holds a camera that cannot be claimed. On a desktop it is usually the file manager's helper."""

from __future__ import annotations

import os
import re
from pathlib import Path

PROC = Path("/proc")
USUAL = {
    "gvfs-gphoto2-vo": "systemctl --user stop gvfs-gphoto2-volume-monitor (for good: systemctl --user mask gvfs-gphoto2-volume-monitor)",
    "gvfsd-gphoto2": "gio mount -s gphoto2",
    "gphoto2": "end that program",
    "darktable": "end that program",
    "digikam": "end that program",
    "entangle": "end that program",
}
"""How to stop those who usually do, by the kernel's name of the process (15 characters)."""


def device(port: str, root: str = "/dev/bus/usb") -> str | None:
    """The device file of a port `usb:001,004`, with or without words before it."""
    found = re.search(r"usb:(\d{3}),(\d{3})", port)
    return f"{root}/{found[1]}/{found[2]}" if found else None


def holders(port: str, proc: Path = PROC) -> list[tuple[int, str]]:
    """Process ids and names: those that have the device open, and then those that usually claim cameras and may."""
    wanted = device(port)
    sure, likely = [], []
    for folder in proc.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue
        if wanted is not None and _has_open(folder, wanted):
            sure.append((int(folder.name), name))
        elif name.startswith("gvfs") and name in USUAL:
            likely.append((int(folder.name), name))
    return sorted(sure) or sorted(likely)


def advice(port: str, proc: Path = PROC) -> str:
    """Which process holds the camera, and how to stop it."""
    found = holders(port, proc)
    if not found:
        return (
            "the camera cannot be claimed: another program uses it, or this user may not open it "
            "(group plugdev, and the device rules of docs/install.md)"
        )
    told = (f"{name} (process {pid}): {USUAL.get(name, 'end that program')}" for pid, name in found)
    return "another program holds the camera: " + "; ".join(told)


def _has_open(folder: Path, wanted: str) -> bool:
    try:
        return any(str(entry.readlink()) == wanted for entry in (folder / "fd").iterdir())
    except OSError:
        return False
