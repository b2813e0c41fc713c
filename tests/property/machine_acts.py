"""What can happen to a rig: commands, alarms, and effects that end well, badly, late, twice or never."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.state import EndAction, Mode, Stack
from rigd.plan import PlanError, PlanRequest, make_plan
from tests.property.machine_rig import BACKLASH, RAIL, RAIL_MODEL, Choices, T
from tests.property.machine_world import World

Act = Callable[[World, Choices], None]


class Dice:
    """Chance from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pick(self, of: Sequence[T]) -> T:
        return self._random.choice(of)

    def between(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


def random_stack(choices: Choices) -> Stack | None:
    """A stack from a random request, sometimes one that goes on with an interrupted session. None: no such plan."""
    near = choices.between(20, 860)
    request = PlanRequest(
        near_um=near,
        far_um=near + choices.between(4, 120),
        frames=choices.between(2, 5),
        margin_frames=choices.pick([0, 0, 1]),
        near_first=choices.pick([True, False]),
        overshoot_um=choices.pick([None, BACKLASH + 1, 30]),
    )
    try:
        plan = make_plan(request, RAIL_MODEL)
    except PlanError:
        return None
    done = choices.pick([0, 0, choices.between(1, plan.frames)])
    return Stack(
        plan=plan,
        order=tuple(range(done, plan.frames)),
        end=choices.pick(list(EndAction)),
        park=choices.pick([RAIL.min, 400, RAIL.max, RAIL.max + 1]),
        max_retries=choices.pick([0, 1, 2]),
        rehome=choices.pick([False, False, True]),
        compare=done - 1 if done else None,
    )


def some_effect(world: World, choices: Choices) -> fx.Effect | None:
    """One that is waited for, or one that was given up and may still be answered."""
    live = world.live()
    effects = live if live and choices.pick([True, False]) else list(world.open.values())[-8:]
    return choices.pick(effects) if effects else None


def command(world: World, choices: Choices) -> None:
    """Any command that carries no data."""
    kinds = (
        ev.Connect,
        ev.Home,
        ev.Resume,
        ev.ClearFault,
        ev.Release,
        ev.Pause,
        ev.Abort,
        ev.Suspend,
        ev.Stop,
    )
    world.send(choices.pick(kinds)())


def goto(world: World, choices: Choices) -> None:
    """Anywhere, also outside the limits."""
    world.send(ev.Goto(choices.pick([choices.between(-1000, 2000), choices.between(RAIL.min, RAIL.max)])))


def jog(world: World, choices: Choices) -> None:
    """Any distance, also too far."""
    world.send(ev.Jog(choices.between(-60, 60)))


def test_shot(world: World, choices: Choices) -> None:
    """A picture outside of any stack, whatever is going on."""
    world.send(ev.TestShot())


def try_out(world: World, choices: Choices) -> None:
    """A picture where the rail stands, and sometimes trouble before it is there."""
    if world.state.mode in {Mode.UNHOMED, Mode.IDLE}:
        test_shot(world, choices)
        trouble = (command, alarm, mishap, finish, work, nonsense, contact)
        choices.pick(trouble)(world, choices)


def contact(world: World, choices: Choices) -> None:
    """The contact of the e-stop is pressed, or released; both may be told more than once."""
    held = world.state.estop_held
    world.send(choices.pick([ev.EStopReleased(), ev.EStopReleased() if held else ev.EStop(held=True)]))


def start(world: World, choices: Choices) -> None:
    """Start a stack, whatever is going on."""
    if stack := random_stack(choices):
        world.send(ev.StartStack(stack))


def capture(world: World, choices: Choices) -> None:
    """Make the rig ready, and start a stack."""
    if world.state.mode not in {Mode.CAPTURING, Mode.PAUSED}:
        world.rescue(resume=False)
        start(world, choices)


def travel(world: World, choices: Choices) -> None:
    """Set the rail off, where it may go."""
    if world.state.mode in {Mode.UNHOMED, Mode.IDLE}:
        target = choices.between(RAIL.min, RAIL.max)
        world.send(choices.pick([ev.Home(), ev.Goto(target), ev.Jog(choices.pick([-30, 30]))]))


def steer(world: World, choices: Choices) -> None:
    """A command meant for a stack under way."""
    if world.job is not None:
        kinds = (ev.Pause, ev.Pause, ev.Stop, ev.Resume, ev.Resume, ev.Abort, ev.Suspend)
        world.send(choices.pick(kinds)())


def alarm(world: World, choices: Choices) -> None:
    """The rig stops itself, or somebody stops it for good."""
    world.send(choices.pick([ev.EStop(), ev.LimitHit("the far switch"), ev.RailLost("no answer")]))


def work(world: World, choices: Choices) -> None:
    """Some effects are carried out well; verdicts come before the rail goes on, or the rail is quicker."""
    slow_verdicts = choices.pick([True, False])
    for _ in range(choices.between(1, 12)):
        if live := world.live():
            quick = [effect for effect in live if not isinstance(effect, fx.ProcessFrame)]
            world.succeed((quick if slow_verdicts and quick else live)[0])


def finish(world: World, choices: Choices) -> None:
    """One effect is carried out, whichever: answers come in any order, and late."""
    if effect := some_effect(world, choices):
        world.succeed(effect)


def mishap(world: World, choices: Choices) -> None:
    """One effect ends, or has ended long ago, with bad news."""
    if effect := some_effect(world, choices):
        world.spoil(effect)


def blot(world: World, choices: Choices) -> None:
    """Something is wrong with a picture: it is early, old, black, blurred or lost."""
    pictures = [effect for effect in world.live() if isinstance(effect, (fx.Expose, fx.ProcessFrame))]
    if pictures:
        world.spoil(choices.pick(pictures))


def failure(world: World, choices: Choices) -> None:
    """One effect cannot be carried out."""
    if effect := some_effect(world, choices):
        world.send(ev.Failed(effect.serial, "it broke", frame_only=choices.pick([True, False])))


def nonsense(world: World, choices: Choices) -> None:
    """An answer comes twice, or to an effect that never was, or is of another kind than was asked for."""
    if world.answers:
        world.send(choices.pick(world.answers[-10:]))
    for serial in (0, world.top_serial + choices.between(1, 5)):
        world.send(ev.Stopped(serial, 5))
        world.send(ev.Verdict(serial, accepted=True))
    if live := world.live():
        world.confuse(choices.pick(live))


def rescue(world: World, choices: Choices) -> None:
    """Somebody brings the rig back to rest."""
    world.rescue(resume=choices.pick([True, False]))


ACTS: tuple[Act, ...] = (
    *(command, goto, jog, travel, test_shot, try_out, start, capture, steer, alarm, contact),
    *(work, finish, mishap, blot, failure, nonsense, rescue),
)
OFTEN: tuple[Act, ...] = (work, work, work, blot, blot, capture, steer, travel)


def life(seed: int, acts: int) -> Iterator[World]:
    """A random life of a rig, the same for the same seed; the world after each act."""
    dice = Dice(seed)
    world = World(dice)
    for _ in range(acts):
        dice.pick((*ACTS, *OFTEN, *OFTEN, *OFTEN))(world, dice)
        yield world
