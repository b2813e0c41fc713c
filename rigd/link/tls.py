"""Encryption: who is trusted, and who we are."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from rigd.link.endpoint import TlsFiles
from rigd.link.trouble import Failed, Kind


class Context(ssl.SSLContext):
    """A context for one connection that can close its socket when the handshake failed; paho leaves that to the garbage collector."""

    made: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As `ssl.SSLContext.wrap_socket`."""
        self.made = super().wrap_socket(*args, **kwargs)
        return self.made

    def close(self) -> None:
        """Close the socket."""
        if self.made is not None:
            self.made.close()


def tls_context(files: TlsFiles) -> Context:
    """A context that checks the broker's certificate and its name.

    Raises:
        Failed: a file cannot be read or used; it is named.
    """
    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if files.ca is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(files.ca)
    except (OSError, ValueError) as error:
        raise _unusable("CA file", files.ca, error) from error
    if files.certificate is not None:
        try:
            context.load_cert_chain(files.certificate, files.key, password=_no_password)
        except (OSError, ValueError) as error:
            raise _unusable("certificate", files.certificate, error, files.key) from error
    return context


def _no_password() -> str:
    # Without this, OpenSSL asks on the terminal and waits.
    raise ValueError("the key is encrypted, and there is no password for it")


def _unusable(what: str, path: Path | None, error: Exception, key: Path | None = None) -> Failed:
    where = f"{path}" + (f" with key {key}" if key is not None else "")
    return Failed(Kind.DENIED, f"{what} {where} cannot be used: {_why(error)}", who=True)


def _why(error: Exception) -> str:
    match error:
        case ssl.SSLError(reason="KEY_VALUES_MISMATCH"):
            return "the key is not that of the certificate"
        case ssl.SSLError():
            return f"no such thing is in it ({error.reason or error})"
        case OSError():
            return error.strerror or repr(error)
        case _:
            return str(error)
