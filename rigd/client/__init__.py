"""A Python client for rigs: typed commands, typed errors, progress as an async iterator.

async with connect("mqtt://localhost/bench") as rig:
    await rig.home()
    run = await rig.start("beetle", step_um=20)
    async for progress in run:
        print(progress.frame, progress.frames, progress.eta_s)
    print(await run.result())
"""

from rigd.client.actions import Action
from rigd.client.address import Address, local_sockets, parse
from rigd.client.connecting import connect
from rigd.client.errors import (
    ActionFailed,
    BadAddress,
    BadCredentials,
    CommandRefused,
    CommandTimeout,
    ContractMismatch,
    NoSuchRig,
    NotLetIn,
    NotReachable,
    RigError,
    RigOffline,
    RigRestarted,
)
from rigd.client.fleet import Fleet, Seen, fleet
from rigd.client.holding import Lease
from rigd.client.hub import Feed, Restarted, WayDown, WayUp
from rigd.client.reading import Picture
from rigd.client.rig import RigClient, serving
from rigd.client.runs import Progress, Result, Run
from rigd.client.sweeping import SweepProgress
from rigd.client.transport import Listener, Message, Transport

__all__ = [
    "Action",
    "ActionFailed",
    "Address",
    "BadAddress",
    "BadCredentials",
    "CommandRefused",
    "CommandTimeout",
    "ContractMismatch",
    "Feed",
    "Fleet",
    "Lease",
    "Listener",
    "Message",
    "NoSuchRig",
    "NotLetIn",
    "NotReachable",
    "Picture",
    "Progress",
    "Restarted",
    "Result",
    "RigClient",
    "RigError",
    "RigOffline",
    "RigRestarted",
    "Run",
    "Seen",
    "SweepProgress",
    "Transport",
    "WayDown",
    "WayUp",
    "connect",
    "fleet",
    "local_sockets",
    "parse",
    "serving",
]
