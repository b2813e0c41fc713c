"""From the config's `mqtt:` to a broker's endpoint."""

from __future__ import annotations

from rigd.config import RigConfig
from rigd.config.remote import Mqtt
from rigd.link.credentials import Credentials, read_credentials, systemd_credential
from rigd.link.endpoint import PORT, TLS_PORT, Endpoint, TlsFiles


def endpoint_of(config: RigConfig) -> Endpoint:
    """The broker of a rig. Raises `CredentialsError`."""
    mqtt = config.mqtt
    assert mqtt is not None, "a rig without a broker has no endpoint"
    who = _credentials(mqtt)
    tls = mqtt.tls
    return Endpoint(
        mqtt.host,
        mqtt.port or (PORT if tls is None else TLS_PORT),
        mqtt.client_id or f"rigd-{config.rig.id}",
        protocol=mqtt.protocol,
        username=who.username if who is not None else None,
        password=who.password if who is not None else None,
        tls=TlsFiles(tls.ca, tls.certificate, tls.key) if tls is not None else None,
        keepalive_s=mqtt.keepalive_s,
        reconnect_max_s=mqtt.reconnect_max_s,
    )


def _credentials(mqtt: Mqtt) -> Credentials | None:
    if mqtt.credential is not None:
        return read_credentials(systemd_credential(mqtt.credential))
    if mqtt.credentials is not None:
        return read_credentials(mqtt.credentials)
    return None
