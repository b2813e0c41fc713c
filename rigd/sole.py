"""One daemon a rig. A second one would open the same ports, and each of the two would do what the other has done already."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class AnotherDaemon(OSError):
    """This rig is served already."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"another rigd serves this rig already, and keeps its state in {folder}")


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a rig's folder until the block is left; a killed process lets go of it.

    Args:
        folder: for what outlives a restart; made when it is not there.

    Raises:
        AnotherDaemon: somebody holds it.
        OSError: it cannot be made or opened.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherDaemon(folder) from None
        yield
    finally:
        os.close(descriptor)
