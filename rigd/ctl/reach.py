"""Which rig is meant, and the way there."""

from __future__ import annotations

import argparse
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rigd.client import Address, NoSuchRig, NotReachable, RigClient, connect, local_sockets, parse
from rigd.client.address import closed_folder, rig_of
from rigd.client.rig import WELCOME_S
from rigd.client.unix import explain
from rigd.link.endpoint import TlsFiles

LOCALHOST = "mqtt://localhost"


@asynccontextmanager
async def reached(
    options: argparse.Namespace, *, preview: bool = False, at_once: bool = False
) -> AsyncIterator[RigClient]:
    """The rig that the options mean, or the only one there is.

    Args:
        options: as parsed.
        preview: fetch pictures.
        at_once: do not wait until it is known what the rig does, nor look which contract it speaks: for stopping.
    """
    address = address_of(options)
    try:
        async with connect(
            address,
            credentials=credentials(options),
            tls=tls_files(options),
            preview=preview,
            timeout_s=options.timeout,
            welcome_s=None if at_once else min(options.timeout, WELCOME_S),
        ) as rig:
            rig.use_lease(options.lease or os.environ.get("RIGD_LEASE") or None)
            yield rig
    except NotReachable as error:
        if asked_for(options) or address.path is not None:
            raise
        closed = closed_folder()
        machine = (
            "no rig on this machine" if closed is None else explain(closed, PermissionError(errno.EACCES, ""))
        )
        message = f"{machine}; and no broker ({error})"
        raise type(error)(message) from None


def asked_for(options: argparse.Namespace) -> str | None:
    """The address that was given."""
    return options.url or os.environ.get("RIGD_URL") or None


def address_of(options: argparse.Namespace) -> Address:
    """What was given, else the only socket on this machine, else the broker on it."""
    url = asked_for(options)
    if url is None:
        return _on_this_machine(options.rig)
    address = parse(url)
    if not options.rig:
        return address
    if address.path is None:
        return address.of(options.rig)
    found = rig_of(address.path)
    if found != options.rig and address.path.name == f"rigd-{found}.sock":
        raise NoSuchRig(f"{address.path} is the socket of {found}, not of {options.rig}", (found,))
    return address


def _on_this_machine(rig: str | None) -> Address:
    sockets = [path for path in local_sockets(os.environ) if rig is None or rig_of(path) == rig]
    match sockets:
        case []:
            address = parse(LOCALHOST)
            return address if rig is None else address.of(rig)
        case [path]:
            return Address(path=path)
        case several:
            names = tuple(rig_of(path) for path in several)
            raise NoSuchRig(f"there are several rigs on this machine: {', '.join(names)}", names)


def credentials(options: argparse.Namespace) -> Path | None:
    """The file of user and password."""
    return options.credentials or _path("RIGD_CREDENTIALS")


def tls_files(options: argparse.Namespace) -> TlsFiles | None:
    """What to trust and who we are."""
    ca = options.ca or _path("RIGD_CA")
    certificate = options.cert or _path("RIGD_CERT")
    key = options.key or _path("RIGD_KEY")
    return TlsFiles(ca, certificate, key) if ca or certificate or key else None


def _path(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None
