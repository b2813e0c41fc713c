"""A rig that can be reached: every way to command it and to watch it, on one open rig."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from drivers.clock import Clock
from rigd.app import Rig, Tie
from rigd.config import RigConfig
from rigd.health import LoopLag, LoopLagMeter
from rigd.homeassistant.announcer import Announcer
from rigd.local import LocalServer, SocketError, socket_path
from rigd.mqtt.adapter import MqttAdapter
from rigd.panel import Panel
from rigd.remote.bus import Switchboard
from rigd.remote.desk import Desk
from rigd.remote.leases import Leases
from rigd.remote.ledger import Ledger
from rigd.remote.reporter import Reporter
from rigd.remote.rigtime import RigTime
from rigd.remote.settings import LiveSettings
from rigd.remote.status import Status
from rigd.remote.vitals import Counts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reach:
    """What makes a rig reachable."""

    boot_id: str
    switchboard: Switchboard
    reporter: Reporter
    status: Status
    desk: Desk
    mqtt: MqttAdapter | None
    """None: the config names no broker."""
    socket: Path | None
    """Where the rig listens on its own machine."""
    panel: Panel | None = None
    """None: the config has none."""


def kept_in(config: RigConfig) -> Path:
    """The folder for what outlives a restart of this rig; another rig that is started in the same place has its own beside it."""
    return config.service.state / config.rig.id


@asynccontextmanager
async def reachable(rig: Rig, clock: Clock) -> AsyncIterator[Reach]:
    """Take commands and tell what happens, over every way that the rig's config names, until the block is left.

    A broker that is not there is looked for again and again; nothing waits for it.

    Raises:
        OSError: the folder for what outlives a restart cannot be used, or another daemon has the socket.
        CredentialsError: those of the broker cannot be read.
        DriverError: a button or the LED of the panel cannot be opened.
    """
    config, boot_id, clock = rig.config, uuid.uuid4().hex, RigTime(clock)
    switchboard = Switchboard()
    reporter = Reporter(switchboard, clock, boot_id)
    settings = LiveSettings(config, kept_in(config))
    leases = Leases(clock)
    lag = LoopLag()
    counts = Counts(
        lag=lag.take,
        broker_losses=lambda: mqtt.losses if mqtt is not None else 0,
        dropped_events=lambda: mqtt.dropped if mqtt is not None else 0,
    )
    async with AsyncExitStack() as leaving:
        ledger = await leaving.enter_async_context(Ledger(kept_in(config), clock))
        status = Status(
            rig,
            switchboard,
            reporter,
            settings,
            leases,
            clock,
            boot_id=boot_id,
            started=clock.utc(),
            counts=counts,
        )
        settings.on_change, leases.on_change = status.settings_changed, status.state_changed
        desk = Desk(rig, reporter, settings, ledger, leases, clock, boot_id=boot_id)
        desk.on_test = status.show_test
        mqtt = None
        if config.mqtt is not None:
            mqtt = MqttAdapter(config, desk, switchboard, clock, reporter=reporter, post=rig.controller.post)
        rig.controller.listen(status.notice)
        leaving.callback(rig.controller.ignore, status.notice)
        status.announce()
        if mqtt is not None:
            announcer = Announcer(config, switchboard)
            announcer.announce()
            mqtt.extra[announcer.status_topic] = announcer.on_status
            if not config.homeassistant.enabled:
                mqtt.on_up.append(announcer.remove)
        await leaving.enter_async_context(
            _running(status.serve(), desk.serve(), LoopLagMeter(lag, clock).serve())
        )
        socket = await _on_a_socket(config, desk, switchboard, leaving)
        panel = await _at_a_panel(config, desk, switchboard, clock, leaving)
        if mqtt is not None:
            await leaving.enter_async_context(mqtt)
        yield Reach(boot_id, switchboard, reporter, status, desk, mqtt, socket, panel)
        # What is still to be said of the last session is said while somebody can hear it.
        await status.drained()


async def _on_a_socket(
    config: RigConfig, desk: Desk, switchboard: Switchboard, leaving: AsyncExitStack
) -> Path | None:
    """Listen on this machine, too, where that is wanted; where the socket is."""
    if not config.remote.local:
        return None
    path = socket_path(config.rig.id, config.remote.socket, config.service.state, os.environ)
    try:
        await leaving.enter_async_context(LocalServer(path, config.rig.id, desk, switchboard))
    except SocketError as error:
        # That nobody asked for just this path is no reason for a rig to stay away.
        if error.errno != errno.ENAMETOOLONG or config.remote.socket is not None:
            raise
        log.warning("no socket for rigctl on this machine: %s", error)
        return None
    return path


async def _at_a_panel(
    config: RigConfig, desk: Desk, switchboard: Switchboard, clock: Clock, leaving: AsyncExitStack
) -> Panel | None:
    """Take commands from buttons at the rig, too, where there are any."""
    if config.panel is None:
        return None
    panel = await leaving.enter_async_context(Panel(config, desk, switchboard, clock))
    await leaving.enter_async_context(_running(panel.serve()))
    return panel


@asynccontextmanager
async def _running(*parts: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run these beside the block. A bug in one ends the block, and is raised: nothing dies quietly."""
    tasks = [asyncio.create_task(part) for part in parts]
    tie = Tie(asyncio.current_task(), *tasks)
    try:
        yield
    finally:
        tie.cut()
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
