"""Addresses of rigs, and the sockets of those on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rigd.client.errors import BadAddress

BASE = "rigd"
FORM = "mqtt://[user@]host[:port]/[base/]rig, mqtts://... for TLS, or unix:/path/of/the.sock"
PROBE_S = 0.5
RUNTIME = Path("/run/rigd")
"""The service's runtime folder."""
_FORBIDDEN = frozenset("+#\0")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a rig is: a socket, or a broker with the rig's name there."""

    path: Path | None = None
    """Of the socket; None: a broker."""
    host: str = ""
    port: int = 1883
    tls: bool = False
    username: str | None = None
    base: str = BASE
    rig: str | None = None
    """None: the only one that is there."""

    def of(self, rig: str) -> Address:
        """The same place, with this rig."""
        return replace(self, rig=rig)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.username}@" if self.username else ""
        port = "" if self.port == _default_port(tls=self.tls) else f":{self.port}"
        return f"mqtt{'s' if self.tls else ''}://{user}{host}{port}/{self.base}/{self.rig or ''}"


def parse(url: str) -> Address:
    """Read an address. Raises `BadAddress`.

    `mqtt://host/small` is the rig `small` below the base `rigd`; `mqtt://host/lab/small` is below `lab`; `mqtt://host` is the only
    rig there.
    """
    if url.startswith("unix:"):
        path = url.removeprefix("unix:")
        path = path.removeprefix("//") if path.startswith("//") else path
        if not path:
            raise BadAddress(f"{url!r} has no path; an address is {FORM}")
        return Address(path=Path(path))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadAddress(f"{url!r}: {error}; an address is {FORM}") from None
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
        raise BadAddress(f"{url!r} is no address of a rig; that is {FORM}")
    if parts.password is not None:
        raise BadAddress(
            "a password in an address is seen by everybody on this machine; put it into a file of two lines, "
            "`username: ...` and `password: ...`, that only you may read, and name that (--credentials)"
        )
    if "?" in url or "#" in url:
        # Also where nothing stands behind it, which urlsplit takes for not being there.
        raise BadAddress(
            f"{url!r}: no ? and no # in an address, which names one rig or, without a name, the only one; it is {FORM}"
        )
    tls = parts.scheme == "mqtts"
    base, rig = _names(unquote(parts.path), url)
    return Address(
        host=parts.hostname,
        port=port or _default_port(tls=tls),
        tls=tls,
        username=unquote(parts.username) if parts.username else None,
        base=base,
        rig=rig,
    )


def _names(path: str, url: str) -> tuple[str, str | None]:
    base, _, rig = path.removeprefix("/").rpartition("/")
    if _FORBIDDEN & set(path) or "//" in path or base.startswith("/"):
        raise BadAddress(f"{url!r}: + and # and empty levels are not for names; an address is {FORM}")
    return base or BASE, rig or None


def _default_port(*, tls: bool) -> int:
    return 8883 if tls else 1883


def local_sockets(environ: Mapping[str, str], folder: Path = Path("state")) -> list[Path]:
    """The sockets of rigs on this machine that somebody listens on, or that this user may not open.

    Args:
        environ: `XDG_RUNTIME_DIR` is the user's runtime folder.
        folder: where rigd puts its socket when there is none of the others.
    """
    user = environ.get("XDG_RUNTIME_DIR", "")
    folders = [RUNTIME, *([Path(user)] if user else []), folder]
    return [path for place in folders for path in _sockets_in(place) if _alive(path)]


def closed_folder() -> Path | None:
    """The service's runtime folder, where it is there and this user may not look into it."""
    try:
        return None if not RUNTIME.is_dir() or os.access(RUNTIME, os.R_OK | os.X_OK) else RUNTIME
    except OSError:
        return None


def rig_of(path: Path) -> str:
    """Whose socket this is, by its name."""
    return path.name.removeprefix("rigd-").removesuffix(".sock")


def _sockets_in(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.glob("rigd-*.sock"))
    except OSError:
        return


def _alive(path: Path) -> bool:
    """Whether somebody listens there. A socket that may not be opened counts: its owner is to be told so, not ignored."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except (PermissionError, TimeoutError):
            return True
        except OSError:
            return False
        return True
