"""One run at a time on a bench: two would move the same rail."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rigd.sole import AnotherDaemon, only_one

LOCKS = "RIGD_BENCH_LOCKS"
"""Names another folder for the lock files."""


class BenchInUse(Exception):
    """Somebody else is at the bench."""


def lock_path(bench: str) -> Path:
    """The lock file of a bench: the same for every user and checkout of this machine."""
    folder = os.environ.get(LOCKS)
    shared = Path("/run/lock")
    return (
        Path(folder) if folder else shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
    ) / (f"rigd-bench-{bench}.lock")


@contextlib.contextmanager
def alone(bench: str, state: Path | None) -> Iterator[None]:
    """Hold a bench until the block is left; a killed run lets go of it.

    Args:
        bench: its name.
        state: the rig's own folder, held as a daemon would; None for a bench of simulators.

    Raises:
        BenchInUse: another run, or a daemon, has it.
    """
    path = lock_path(bench)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise BenchInUse(f"the lock {path} cannot be opened: {error.strerror}") from error
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.pread(descriptor, 100, 0).decode("ascii", "replace").strip()
            raise BenchInUse(f"another run ({who or 'unknown'}) is at the bench {bench!r}: {path}") from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}\n".encode(), 0)
        if state is not None:
            try:
                stack.enter_context(only_one(state))
            except AnotherDaemon as error:
                raise BenchInUse(f"{error}: stop it (systemctl stop rigd)") from error
            except OSError as error:
                raise BenchInUse(f"{state}: {error.strerror}; run as the daemon's user") from error
        yield
