"""Why there is no connection, in words that say what to look at."""

from __future__ import annotations

import enum
import socket
import ssl

from rigd.link.endpoint import Endpoint


class Kind(enum.Enum):
    """What a failed try means for the next one."""

    UNREACHABLE = "unreachable"
    """Nobody there, or not yet: try again."""
    NOT_LISTENING = "not listening"
    """The machine is there and says that no broker is, yet: asking costs next to nothing, and it may be back any moment."""
    VERSION = "version"
    """The broker speaks another version of MQTT, and says so."""
    HUNG_UP = "hung up"
    """The broker ended the connection without a word: a version it does not know, or something in between."""
    DENIED = "denied"
    """The broker knows us and does not want us, or another one took our place: soon again would be no better."""


class Failed(Exception):
    """A try that came to nothing.

    Args:
        kind: what it means for the next one.
        message: why, for people.
        who: it is about who we are, or whom we trust: another user, password or certificate is needed.
    """

    def __init__(self, kind: Kind, message: str, *, who: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.who = who


def explained(error: Exception, endpoint: Endpoint) -> str:
    """An error of name resolution, TCP or TLS, for people."""
    match error:
        case socket.gaierror():
            return f"the name '{endpoint.host}' cannot be resolved ({error.strerror or error})"
        case ssl.SSLCertVerificationError():
            return _untrusted(error, endpoint)
        case ssl.SSLEOFError() | ConnectionResetError() if endpoint.tls is not None:
            return "the broker hung up during the TLS handshake; perhaps it does not speak TLS on this port"
        case ssl.SSLError():
            return _tls(error)
        case ConnectionRefusedError():
            return f"nobody listens on {endpoint}"
        case TimeoutError():
            return f"no answer from {endpoint} within {endpoint.connect_timeout_s:g} s"
        case OSError():
            return f"{endpoint} cannot be reached: {error.strerror or error}"
        case UnicodeError():
            return f"'{endpoint.host}' is no name of a host"
        case _:
            return f"{endpoint}: {error!r}"


def _untrusted(error: ssl.SSLCertVerificationError, endpoint: Endpoint) -> str:
    why = getattr(error, "verify_message", "") or str(error)
    ca = endpoint.tls.ca if endpoint.tls is not None else None
    trusted = (
        f"the certificates in {ca}"
        if ca is not None
        else "the certificates of the system; name a CA file if it has its own"
    )
    return f"the broker's certificate is not trusted: {why} (trusted are {trusted})"


def _tls(error: ssl.SSLError) -> str:
    reason = (error.reason or "").replace("_", " ").lower()
    if "wrong version number" in reason or "record layer failure" in reason:
        return "the broker does not speak TLS on this port"
    return f"TLS failed: {reason or error}"


def after_hello(text: str, *, encrypted: bool) -> Failed:
    """What ended a connection before the broker's answer; `text` is what the socket said, if it said anything."""
    lower = text.lower().replace("_", " ")
    if "alert" in lower and "certificate required" in lower:
        return Failed(Kind.HUNG_UP, "the broker asks for a certificate of ours, and there is none", who=True)
    if "alert" in lower:
        return Failed(Kind.HUNG_UP, f"the broker refused our certificate ({text})", who=True)
    perhaps = "" if encrypted else "; perhaps it wants TLS on this port"
    return Failed(Kind.HUNG_UP, f"the broker ended the connection before it answered{perhaps}")
