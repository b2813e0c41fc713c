"""From an address to a rig."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rigd.client.address import Address, parse
from rigd.client.asking import ANSWER_S
from rigd.client.broker import BrokerTransport
from rigd.client.endpoints import endpoint_of
from rigd.client.errors import NoSuchRig
from rigd.client.fleet import RETAINED_S, fleet
from rigd.client.rig import WELCOME_S, RigClient, serving
from rigd.client.transport import Transport
from rigd.client.unix import UnixTransport
from rigd.link.endpoint import TlsFiles


@asynccontextmanager
async def connect(
    url: str | Address,
    *,
    credentials: Path | None = None,
    tls: TlsFiles | None = None,
    preview: bool = False,
    timeout_s: float = ANSWER_S,
    welcome_s: float | None = WELCOME_S,
) -> AsyncIterator[RigClient]:
    """Command a rig for as long as the block lasts.

    Args:
        url: `mqtt://[user@]host[:port]/[base/]rig`, `mqtts://...` for TLS, `unix:/path/of/the.sock`. Without a rig's name: the only
            one that is on that broker.
        credentials: a file of two lines, `username: ...` and `password: ...`.
        tls: what to trust and who we are, for `mqtts`.
        preview: fetch the pictures of the growing stack.
        timeout_s: for answers.
        welcome_s: wait so long until the rig is known; None: do not wait, and do not look which contract it speaks.

    Raises:
        BadAddress: the address is wrong.
        BadCredentials: the file of credentials is.
        NotReachable: no broker or socket there.
        NotLetIn: the broker does not take this user, password or certificate, or its own is not trusted.
        NoSuchRig: none of that name, or several and no name.
        RigOffline: it is not there now.
        ContractMismatch: it speaks another contract.
    """
    address = parse(url) if isinstance(url, str) else url
    if address.path is not None:
        transport: Transport = UnixTransport(address.path, preview=preview)
    else:
        address = await _named(address, credentials, tls)
        endpoint = endpoint_of(address, credentials, tls)
        transport = BrokerTransport(endpoint, address.base, address.rig or "", str(address), preview=preview)
    async with serving(transport, timeout_s=timeout_s, welcome_s=welcome_s) as rig:
        yield rig


async def _named(address: Address, credentials: Path | None, tls: TlsFiles | None) -> Address:
    """With the name of the only rig, where the address has none."""
    if address.rig is not None:
        return address
    async with fleet(address, credentials=credentials, tls=tls) as seen:
        rigs = await seen.settled(RETAINED_S)
    match sorted(rigs):
        case [rig]:
            return address.of(rig)
        case []:
            raise NoSuchRig(f"{address}: no rig has ever been here")
        case several:
            raise NoSuchRig(
                f"{address}: there are several rigs, name one: {', '.join(several)}", tuple(several)
            )
