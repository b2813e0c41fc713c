"""Run a program that ends when this one's parent does: `python tied.py PARENT PROGRAM ARGUMENT...`.

A script, not a module: it runs in a fresh interpreter without site packages, so that it is quick, and becomes the program. The kernel
remembers the wish over the exec (prctl(2), PR_SET_PDEATHSIG); it is kept by the thread that started this process, which must live as
long as the program shall.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become the program.

    Raises:
        OSError: it cannot be run.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel knew
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - what it is for


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
