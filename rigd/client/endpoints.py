"""From an address and a file of credentials to a broker's endpoint, for a new client of it."""

from __future__ import annotations

import uuid
from pathlib import Path

from rigd.client.address import Address
from rigd.client.errors import BadAddress, BadCredentials
from rigd.link.credentials import CredentialsError, read_credentials
from rigd.link.endpoint import Endpoint, TlsFiles


def new_client_id() -> str:
    """A name at the broker that nobody else has."""
    return f"rigd-client-{uuid.uuid4().hex[:12]}"


def endpoint_of(address: Address, credentials: Path | None, tls: TlsFiles | None) -> Endpoint:
    """The broker of an address. Raises `BadAddress`, `BadCredentials`."""
    username, password = address.username, None
    if credentials is not None:
        try:
            found = read_credentials(credentials)
        except CredentialsError as error:
            raise BadCredentials(str(error)) from None
        if username is not None and username != found.username:
            raise BadAddress(
                f"the address says user {username!r}, {credentials} says {found.username!r}; name one of them"
            )
        username, password = found.username, found.password
    if tls is not None and not address.tls:
        raise BadAddress("certificates are for mqtts://, this address is mqtt://")
    return Endpoint(
        address.host,
        address.port,
        new_client_id(),
        username=username,
        password=password,
        tls=(tls or TlsFiles()) if address.tls else None,
        reconnect_max_s=5.0,
    )
