"""Where the socket is, and how it gets there: never over a live one, never open to everybody."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

MAX_PATH_BYTES = 107
"""Linux has 108 bytes for the path of a socket, with the zero at its end (unix(7))."""
MODE = 0o660
"""The daemon's user and group may command the rig; nobody else."""


class SocketError(OSError):
    """The socket cannot be made; the text says what to do."""

    def __str__(self) -> str:
        """Without the number, which says nothing to whoever reads it."""
        return f"{self.filename}: {self.strerror}"


def socket_path(rig_id: str, configured: Path | None, state: Path, environ: Mapping[str, str]) -> Path:
    """Where a rig's socket belongs: as configured, else in the service's runtime folder, the user's, or `state`.

    Args:
        rig_id: the rig's id.
        configured: the config's `remote.socket`.
        state: the config's `service.state`.
        environ: `RUNTIME_DIRECTORY` is systemd's (the first of several is taken), `XDG_RUNTIME_DIR` the user's.
    """
    if configured is not None:
        return configured
    service = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    user = environ.get("XDG_RUNTIME_DIR", "")
    folder = Path(service) if service else Path(user) if user and Path(user).is_dir() else state
    return folder / f"rigd-{rig_id}.sock"


def bind(path: Path) -> socket.socket:
    """A bound socket that does not listen yet. What a killed daemon left behind is replaced. Raises `SocketError`."""
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise SocketError(
            errno.ENAMETOOLONG,
            f"the path of a socket may have {MAX_PATH_BYTES} bytes, this one has {len(os.fsencode(path))}; "
            "set remote.socket to a shorter one",
            str(path),
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_room(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(os.fspath(path))
        path.chmod(MODE)  # nobody can connect before it listens
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def remove(path: Path, inode: int) -> None:
    """Take the socket away, if it is still that one."""
    with contextlib.suppress(OSError):
        if path.lstat().st_ino == inode:
            path.unlink()


def _make_room(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketError(
            errno.EEXIST,
            "this is no socket, and is left alone; set remote.socket to another path",
            str(path),
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            raise SocketError(
                errno.EADDRINUSE, f"another program may be listening ({error})", str(path)
            ) from None
    raise SocketError(errno.EADDRINUSE, "another rigd serves this rig already", str(path))
