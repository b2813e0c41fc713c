"""What the sections about commanding the rig from elsewhere must agree on."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from rigd.config.parts import Parts
from rigd.config.problems import Problem
from rigd.config.units import plain_number as number

RESERVED = "clients"
"""Below `<base>/`, where those who command have topics of their own."""
PLAIN_PORT, TLS_PORT = 1883, 8883


def id_free(parts: Parts) -> Iterator[Problem]:
    """A rig is not called what the topics have another use for."""
    rig = parts.rig
    if rig is not None and rig.id == RESERVED:
        message = f"'{RESERVED}' is where those who command rigs have their topics"
        yield parts.problem("rig.id", message, "give the rig another id")


def jog_holds(parts: Parts) -> Iterator[Problem]:
    """What a jog is held for without a word is not longer than any word may say."""
    remote = parts.remote
    if remote is not None and remote.jog_hold_s > remote.jog_hold_max_s:
        longest = number(remote.jog_hold_max_s)
        message = f"jog_hold_s {number(remote.jog_hold_s)} is above jog_hold_max_s {longest}"
        yield parts.problem("remote.jog_hold_s", message, f"jog_hold_s: {longest} or less")


def one_way_to_a_password(parts: Parts) -> Iterator[Problem]:
    """User and password come from one place."""
    mqtt = parts.mqtt
    if mqtt is not None and mqtt.credentials is not None and mqtt.credential is not None:
        yield parts.problem(
            "mqtt.credential", "credentials and credential are both given", "leave one of them away"
        )


def key_of_a_certificate(parts: Parts) -> Iterator[Problem]:
    """A private key belongs to a certificate."""
    mqtt = parts.mqtt
    if mqtt is not None and mqtt.tls is not None and mqtt.tls.key and not mqtt.tls.certificate:
        message = "a key without its certificate"
        yield parts.problem("mqtt.tls.key", message, "add certificate: <file>, or leave key away")


def files_of_the_broker(parts: Parts) -> Iterator[Problem]:
    """Certificates, keys and credentials are there."""
    mqtt = parts.mqtt
    if mqtt is None:
        return
    files = {"mqtt.credentials": mqtt.credentials}
    if mqtt.tls is not None:
        files |= {f"mqtt.tls.{name}": getattr(mqtt.tls, name) for name in ("ca", "certificate", "key")}
    for path, file in files.items():
        if file is not None and _mode(file) == 0:
            yield parts.problem(
                path, f"there is no file {file}", "relative paths begin at the config's folder"
            )


def topics_apart(parts: Parts) -> Iterator[Problem]:
    """The rigs' topics and Home Assistant's are not the same."""
    mqtt, home = parts.mqtt, parts.homeassistant
    if mqtt is None or home is None:
        return
    base, prefix = f"{mqtt.base}/", f"{home.prefix}/"
    if base.startswith(prefix) or prefix.startswith(base):
        message = f"base '{mqtt.base}' and homeassistant.prefix '{home.prefix}' lie in each other"
        yield parts.problem("mqtt.base", message, "give the rigs topics of their own, such as base: rigd")


def profiles_determined(parts: Parts) -> Iterator[Problem]:
    """A profile gives a step or a number of frames, not both."""
    for name, profile in parts.profiles.items():
        if profile.step_um is not None and profile.frames is not None:
            message = "step_um and frames are both given, and each determines the other"
            yield parts.problem(f"profiles.{name}.frames", message, "leave one of them away")


def profiles_park_within_limits(parts: Parts) -> Iterator[Problem]:
    """A profile that parks does so where the rail may go."""
    limits, capture = parts.limits, parts.capture
    if limits is None or capture is None or capture.end == "park" or limits.min_um >= limits.max_um:
        return  # where the config itself parks, it is said there
    for name, profile in parts.profiles.items():
        if profile.end == "park" and not limits.min_um <= capture.park_um <= limits.max_um:
            message = f"capture.park_um {number(capture.park_um)} is outside the limits"
            fix = f"park_um: {number(limits.min_um)} to {number(limits.max_um)}, below capture"
            yield parts.problem(f"profiles.{name}.end", message, fix)


def credentials_private(parts: Parts) -> Iterator[Problem]:
    """A file with a password that every user can read."""
    mqtt = parts.mqtt
    if mqtt is None:
        return
    files = {"mqtt.credentials": mqtt.credentials}
    if mqtt.tls is not None:
        files["mqtt.tls.key"] = mqtt.tls.key
    for path, file in files.items():
        if file is not None and (_mode(file) or 0) & stat.S_IROTH:
            message = f"{file} can be read by every user of this machine"
            yield parts.problem(path, message, f"chmod 600 {file}")


def password_in_clear(parts: Parts) -> Iterator[Problem]:
    """A password that crosses a network unencrypted."""
    mqtt = parts.mqtt
    if mqtt is None or mqtt.tls is not None or _on_this_machine(mqtt.host):
        return
    if mqtt.credentials is not None or mqtt.credential is not None:
        message = f"the password goes to {mqtt.host} unencrypted"
        yield parts.problem("mqtt.host", message, "add tls: {} where the broker can do it")


def usual_ports(parts: Parts) -> Iterator[Problem]:
    """A port that usually speaks something else."""
    mqtt = parts.mqtt
    if mqtt is None:
        return
    if mqtt.tls is not None and mqtt.port == PLAIN_PORT:
        message = f"{PLAIN_PORT} is usually the port without encryption"
        yield parts.problem("mqtt.port", message, f"{TLS_PORT} is usual with tls")
    if mqtt.tls is None and mqtt.port == TLS_PORT:
        message = f"{TLS_PORT} is usually the port with encryption"
        yield parts.problem("mqtt.port", message, "add tls: {}")


def _mode(file: Path) -> int | None:
    """Of a file; 0 when there is none, None when that cannot be told."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (OSError, ValueError):
        return None  # perhaps the service may look there
    return found.st_mode if stat.S_ISREG(found.st_mode) else 0


def _on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in {"localhost", "localhost.localdomain"}


CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    id_free,
    jog_holds,
    one_way_to_a_password,
    key_of_a_certificate,
    files_of_the_broker,
    topics_apart,
    profiles_determined,
    profiles_park_within_limits,
)
ADVICE: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    credentials_private,
    password_in_clear,
    usual_ports,
)
