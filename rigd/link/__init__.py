"""One connection to a broker, kept up: paho-mqtt on an asyncio loop. For rigs and for those who command them."""

from rigd.link.credentials import Credentials, CredentialsError, read_credentials, systemd_credential
from rigd.link.endpoint import Endpoint, Packet, Received, TlsFiles
from rigd.link.link import Link

__all__ = [
    "Credentials",
    "CredentialsError",
    "Endpoint",
    "Link",
    "Packet",
    "Received",
    "TlsFiles",
    "read_credentials",
    "systemd_credential",
]
