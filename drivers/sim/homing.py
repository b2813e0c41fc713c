"""The search for the home switch, as motion controllers do it: fast to the switch, off it, slowly back, pull off, zero."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import Limit
from drivers.motion.profile import braking, trapezoid
from drivers.sim.options import SimRailOptions
from drivers.sim.world import RailWorld

SLOW = 0.1
"""Speed of the last approach as a share of the search speed."""
REACH = 1.3
"""The search gives up after this many travels."""


@dataclass(frozen=True, slots=True)
class Homing:
    """How a homing will end."""

    ended_s: float
    zero_um: float
    """Where the screw stands at the end, which is zero from then on."""
    alarm: str | None = None


class _Search:
    """Motions of the screw, one after the other, each from rest to rest."""

    def __init__(self, world: RailWorld, options: SimRailOptions, start_s: float) -> None:
        self.now_s = start_s
        self._world = world
        self._acceleration = options.acceleration_um_per_s2

    def go(self, distance_um: float, speed_um_per_s: float) -> None:
        """Move over a distance."""
        profile = trapezoid(distance_um, speed_um_per_s, self._acceleration)
        self._world.begin(self.now_s, profile)
        self.now_s += profile.duration_s

    def seek_home(self, reach_um: float, speed_um_per_s: float) -> bool:
        """Move downward until the switch closes, then brake; False when it does not."""
        profile = trapezoid(-reach_um, speed_um_per_s, self._acceleration)
        self._world.begin(self.now_s, profile)
        tripped = self._world.trip(self.now_s, self.now_s + profile.duration_s)
        if tripped is None:
            self.now_s += profile.duration_s
            return False
        self.now_s = tripped[0]
        speed = self._world.speed_um_per_s(self.now_s)
        brake = braking(speed, -(speed**2) / (2 * self._acceleration))
        self._world.begin(self.now_s, brake)
        self.now_s += brake.duration_s
        return True

    def creep_home(self, reach_um: float, speed_um_per_s: float) -> bool:
        """Move slowly downward and stop dead where the switch closes; False when it does not."""
        profile = trapezoid(-reach_um, speed_um_per_s, self._acceleration)
        self._world.begin(self.now_s, profile)
        tripped = self._world.trip(self.now_s, self.now_s + profile.duration_s)
        if tripped is None:
            return False
        self.now_s = tripped[0]
        self._world.halt(self.now_s)
        return True


def run(world: RailWorld, options: SimRailOptions, start_s: float) -> Homing:
    """Plan a whole homing into the world, from wherever the carriage stands at rest at `start_s`."""
    search = _Search(world, options, start_s)
    fast = options.homing_speed_um_per_s
    if options.faults.home_switch_broken:
        # The carriage ends at its mechanical stop, where the motor stalls while the controller goes on counting.
        search.go(world.home_switch_um - world.screw_um(start_s), fast)
        gives_up_s = start_s + REACH * options.travel_um / fast
        screw = world.screw_um(search.now_s)
        return Homing(
            max(search.now_s, gives_up_s), screw, "home switch not found: check the switch and its cable"
        )
    if world.switch_at(start_s) is not Limit.HOME and not search.seek_home(
        REACH * options.travel_um + 10_000.0, fast
    ):
        return Homing(search.now_s, world.screw_um(search.now_s), "home switch not found within the travel")
    overrun_um = fast**2 / (2 * options.acceleration_um_per_s2)
    back_um = 2 * options.pull_off_um + overrun_um
    search.go(back_um, fast)
    if world.switch_at(search.now_s) is Limit.HOME or not search.creep_home(2 * back_um, SLOW * fast):
        return Homing(search.now_s, world.screw_um(search.now_s), "home switch does not open: check it")
    search.go(world.to_lattice(options.pull_off_um), fast)
    return Homing(search.now_s, world.to_lattice(world.screw_um(search.now_s)))
