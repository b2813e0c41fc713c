"""User and password, from a file: never from a command line, which every process on the machine can read."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024
"""A longer file is another one."""
SHAPE = "two lines, 'username: ...' and 'password: ...'"


class CredentialsError(Exception):
    """Credentials that cannot be used. The message names the file and what to do; it never holds any of the content."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to a broker."""

    username: str
    password: str | None = field(default=None, repr=False)


def read_credentials(path: Path) -> Credentials:
    """Read `username: ...` and `password: ...`, a line each, in any order.

    What follows the colon and one blank is taken as it is, to the end of the line: quotes are part of it, and `#` begins a comment
    only at the start of a line. The password may be left away.

    Raises:
        CredentialsError: the file cannot be read or is not of this form.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"credentials file {path}: {error.strerror or error}; it must be there and readable by the user that runs this"
        raise CredentialsError(message) from error
    if readable_by_all(mode):
        log.warning("credentials file %s can be read by every user of this machine; chmod 600 %s", path, path)
    if len(raw) > MAX_BYTES:
        raise CredentialsError(f"credentials file {path}: too long; it must hold {SHAPE}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Not chained: the error quotes the bytes.
        raise CredentialsError(f"credentials file {path}: not UTF-8 text; save it as UTF-8") from None
    return _parse(path, text)


def _parse(path: Path, text: str) -> Credentials:
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")  # noqa: PLW2901
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        name = name.strip()
        if not colon or name not in {"username", "password"}:
            raise CredentialsError(f"credentials file {path}: line {number} is neither; it must hold {SHAPE}")
        if name in found:
            raise CredentialsError(f"credentials file {path}: line {number}: a second '{name}:'; remove one")
        if "\0" in value:
            raise CredentialsError(f"credentials file {path}: line {number}: a NUL character; remove it")
        found[name] = value.removeprefix(" ")
    if not found.get("username"):
        raise CredentialsError(f"credentials file {path}: no 'username:'; it must hold {SHAPE}")
    return Credentials(found["username"], found.get("password") or None)


def readable_by_all(mode: int) -> bool:
    """Whether a file of this mode can be read by every user."""
    return bool(mode & stat.S_IROTH)


def systemd_credential(name: str, environ: Mapping[str, str] | None = None) -> Path:
    """The file of a systemd credential (`LoadCredential=NAME:/path`, systemd.exec(5)).

    Raises:
        CredentialsError: systemd was not told to load it.
    """
    folder = (os.environ if environ is None else environ).get("CREDENTIALS_DIRECTORY")
    if not folder:
        message = (
            f"credential '{name}': systemd gave none ($CREDENTIALS_DIRECTORY is not set); "
            f"add LoadCredential={name}:/path/to/file to the unit, or name a file"
        )
        raise CredentialsError(message)
    path = Path(folder) / name
    if not path.is_file():
        raise CredentialsError(
            f"credential '{name}': not among those of systemd; add LoadCredential={name}:/path/to/file to the unit"
        )
    return path
