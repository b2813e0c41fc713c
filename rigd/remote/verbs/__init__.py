"""The commands, one small handler each.

A handler takes the room it works in, the job and the checked parameters, and gives an answer or raises. Those in `QUICK` wait for
nothing and are answered within the call; those in `WORKED` run as tasks. `LIMITS` are looked at before anything is begun.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rigd.remote.reading import SETS
from rigd.remote.verbs import leasing, looking, motion, stacks, sweeping, tuning
from rigd.remote.verbs.room import Answer, Job, Room

Quick = Callable[[Room, Job, Any], Answer]
Worked = Callable[[Room, Job, Any], Awaitable[Answer]]
Limit = Callable[[Room, Any], None]

QUICK: Mapping[str, Quick] = {
    "ping": looking.ping,
    "jog.renew": motion.renew,
    "mark_near": tuning.mark_near,
    "mark_far": tuning.mark_far,
    "settings": tuning.settings,
    "lease.take": leasing.take,
    "lease.renew": leasing.renew,
    "lease.release": leasing.release,
    **dict.fromkeys(SETS, tuning.settings),
}
WORKED: Mapping[str, Worked] = {
    "home": motion.home,
    "jog": motion.jog,
    "goto": motion.goto,
    "stop": motion.stop,
    "release": motion.release,
    "fault.clear": motion.clear_fault,
    "plan.validate": looking.validate,
    "session.start": stacks.start,
    "session.pause": stacks.pause,
    "session.resume": stacks.resume,
    "session.abort": stacks.abort,
    "session.list": looking.sessions,
    "capture.test": looking.shoot,
    "sweep": sweeping.begin,
    "identify": looking.identify,
}
LIMITS: Mapping[str, Limit] = {
    "goto": motion.goto_limits,
    "jog": motion.jog_limits,
    "release": motion.release_limits,
    "sweep": sweeping.limits,
    "identify": looking.identify_limits,
    "mark_near": tuning.mark_limits,
    "mark_far": tuning.mark_limits,
}
