"""`rigd run`: the daemon, with a broker of its own where that is wanted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Iterator

from rigd.broker import BrokerError, loopback_broker
from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped
from rigd.cli.progress import say
from rigd.config import RigConfig, load
from rigd.config.remote import Mqtt
from rigd.daemon import live


def run(options: argparse.Namespace) -> int:
    """`rigd run`."""
    config = load(options.config, options.overrides)
    with contextlib.ExitStack() as leaving:
        if options.with_broker:
            config = leaving.enter_context(with_broker(config, options.broker_port))
        asyncio.run(live(config))
    return Exit.DONE


@contextlib.contextmanager
def with_broker(config: RigConfig, port: int = 0) -> Iterator[RigConfig]:
    """A broker on loopback until the block is left, and the config of a rig that is on it.

    Args:
        config: of a rig without a broker.
        port: where it listens; 0 takes a free one.

    Raises:
        Stopped: the config names a broker already, or none can be started.
    """
    if config.mqtt is not None:
        raise Stopped(
            Exit.USAGE, f"the config names a broker already: {config.mqtt.host}; leave --with-broker away"
        )
    with contextlib.ExitStack() as leaving:
        try:
            broker = leaving.enter_context(loopback_broker(port))
        except BrokerError as error:
            raise Stopped(Exit.BROKER, str(error)) from error
        say(
            f"broker ({broker.kind}) on {broker.host}:{broker.port}: rigctl --url mqtt://{broker.host}:{broker.port}/{config.rig.id} watch"
        )
        yield config.model_copy(update={"mqtt": Mqtt(host=broker.host, port=broker.port)})
