"""What every rail must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from drivers.base import DriverError, Rail, Shaping, ShapingRail
from tests.contract.bench import Bench, check_lasted, home, rest


@dataclass
class RailRig:
    """A closed rail to be tried, and the bench it stands on."""

    bench: Bench
    rail: Rail
    span_um: float = 5000.0
    """How far from home the suite may go."""
    true_microsteps: Callable[[], float] | None = None
    """Where the rail really is, for rails that can tell."""
    tells_home_error: bool = True
    """Whether it knows where a homing met the switch by the old count: a controller may begin its count anew unasked."""

    def microsteps(self, um: float) -> int:
        return round(um / self.rail.capabilities.microstep_um)

    def check_truth(self) -> None:
        if self.true_microsteps is not None:
            assert self.true_microsteps() == pytest.approx(self.rail.poll().position, abs=1e-6)

    def moved_to(self, target: int) -> None:
        self.rail.start_move(target)
        status = rest(self.bench, self.rail)
        assert status.position == target, status.alarm

    def reach(self, share: float) -> int:
        """A target at this share of the span."""
        return self.microsteps(share * self.span_um)


class RailContract:
    """The suite. A subclass's module gives the fixture `rig`, a `RailRig` with its rail closed."""

    @pytest.fixture
    def opened(self, rig: RailRig):
        rig.rail.open()
        yield rig
        rig.rail.close()

    @pytest.fixture
    def homed(self, opened: RailRig):
        home(opened.bench, opened.rail)
        return opened

    def test_is_a_rail(self, rig):
        assert isinstance(rig.rail, Rail)

    def test_opens_and_closes_any_number_of_times(self, rig):
        rig.rail.close()
        rig.rail.open()
        rig.rail.open()
        rig.rail.close()
        rig.rail.close()
        with pytest.raises(DriverError):
            rig.rail.poll()
        with pytest.raises(DriverError):
            rig.rail.start_home()
        rig.rail.stop()
        rig.rail.halt()
        rig.rail.open()
        assert not rig.rail.poll().moving
        rig.rail.close()

    def test_capabilities_make_sense(self, opened):
        able = opened.rail.capabilities
        assert 0 < able.microstep_um < able.travel_um
        assert able.max_speed_um_per_s > 0
        assert able.acceleration_um_per_s2 > 0
        assert able.backlash_um >= 0

    def test_position_is_not_known_before_home(self, opened):
        status = opened.rail.poll()
        assert (status.homed, status.position, status.moving) == (False, None, False)
        with pytest.raises(DriverError):
            opened.rail.start_move(0)
        assert not opened.rail.poll().moving

    def test_jogs_before_home(self, opened):
        opened.rail.start_jog(opened.microsteps(100.0), 200.0)
        assert opened.rail.poll().moving
        status = rest(opened.bench, opened.rail)
        assert (status.homed, status.position) == (False, None)

    def test_homes(self, opened):
        opened.rail.start_home()
        began = opened.rail.poll()
        assert (began.moving, began.homed, began.position) == (True, False, None)
        status = rest(opened.bench, opened.rail)
        assert (status.homed, status.alarm) == (True, None)
        assert status.position is not None
        assert 0 <= status.position <= opened.microsteps(opened.rail.capabilities.travel_um)

    def test_homes_again_at_the_same_place(self, homed):
        homed.moved_to(homed.reach(0.5))
        status = home(homed.bench, homed.rail)
        if not homed.tells_home_error:
            homed.moved_to(homed.reach(0.5))
            homed.check_truth()
            return
        assert status.home_error is not None
        assert abs(status.home_error) * homed.rail.capabilities.microstep_um < 20.0

    def test_forgets_its_home_when_opened_again(self, homed):
        homed.rail.close()
        homed.rail.open()
        assert (homed.rail.poll().homed, homed.rail.poll().position) == (False, None)

    def test_reaches_targets_exactly(self, homed):
        for share in (0.5, 0.1, 0.1, 1.0, 0.0):
            homed.moved_to(homed.reach(share))
            homed.check_truth()
        for single in (1, 2, 1, 0):
            homed.moved_to(single)
            homed.check_truth()

    def test_tells_when_a_motion_ended(self, homed):
        began_s = homed.bench.clock.now()
        target = homed.reach(0.5)
        expected_s = homed.rail.move_time_s(target - homed.rail.poll().position)
        homed.rail.start_move(target)
        assert homed.rail.poll().ended_s is None
        status = rest(homed.bench, homed.rail)
        if status.ended_s is not None:
            assert began_s < status.ended_s <= homed.bench.clock.now()
            lasted_s = status.ended_s - began_s
            check_lasted(homed.bench.clock, lasted_s, expected_s, max(0.2, 0.5 * expected_s))
            assert homed.rail.poll().ended_s == status.ended_s

    def test_shows_a_move_under_way(self, homed):
        start, target = homed.rail.poll().position, homed.reach(1.0)
        homed.rail.start_move(target, 0.5 * homed.rail.capabilities.max_speed_um_per_s)
        seen = []
        while (status := homed.rail.poll()).moving:
            assert status.homed
            assert status.target == target
            seen.append(status.position)
            homed.bench.pass_time(0.02)
        assert len(seen) > 2
        assert seen == sorted(seen)
        assert start <= seen[0]
        assert seen[-1] <= target

    def test_goes_slower_when_asked(self, homed):
        def takes_s(target, speed):
            began_s = homed.bench.clock.now()
            homed.rail.start_move(target, speed)
            rest(homed.bench, homed.rail)
            return homed.bench.clock.now() - began_s

        homed.moved_to(0)
        slow = homed.rail.capabilities.max_speed_um_per_s / 10
        target = homed.reach(0.5)
        assert takes_s(target, slow) > 2 * takes_s(0, None)

    @pytest.mark.parametrize("side", ["below", "above"])
    def test_refuses_targets_outside_the_travel(self, homed, side):
        before = homed.rail.poll()
        beyond = homed.microsteps(homed.rail.capabilities.travel_um) + 2 if side == "above" else -2
        with pytest.raises(DriverError):
            homed.rail.start_move(beyond)
        with pytest.raises(DriverError):
            homed.rail.start_jog(beyond - before.position, 100.0)
        assert homed.rail.poll() == before

    def test_refuses_a_second_motion(self, homed):
        target = homed.reach(1.0)
        homed.rail.start_move(target)
        homed.bench.pass_time(0.05)
        with pytest.raises(DriverError):
            homed.rail.start_move(0)
        with pytest.raises(DriverError):
            homed.rail.start_home()
        assert rest(homed.bench, homed.rail).position == target

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
    def test_stops_in_the_middle_and_knows_where(self, homed, share):
        start, target = homed.rail.poll().position, homed.reach(1.0)
        whole_s = homed.rail.move_time_s(target - start)
        homed.rail.start_move(target)
        homed.bench.pass_time(share * whole_s)
        asked = homed.rail.poll()
        homed.rail.stop()
        status = rest(homed.bench, homed.rail)
        assert status.homed
        assert asked.position <= status.position <= target
        homed.check_truth()
        homed.moved_to(start)
        homed.moved_to(target)
        homed.check_truth()

    @pytest.mark.parametrize("kind", ["trapezoid", "quintic", "zv", "zvd", "mzv", "ei"])
    def test_moves_in_the_shape_it_is_told(self, homed, kind):
        """Also a short move, which a shaper lets rest on its way, stopped while it does."""
        rail = homed.rail
        if not isinstance(rail, ShapingRail):
            pytest.skip("this rail cannot shape its moves")
        told = Shaping(kind, frequency_hz=10.0, damping=0.05)
        rail.shape_moves(told)
        assert rail.shaping == told
        for target in (homed.reach(0.5), homed.reach(0.5) + 7, homed.reach(0.5) - 30, 0):
            from_here = rail.poll().position
            expected_s = rail.move_time_s(target - from_here)
            began_s = homed.bench.clock.now()
            homed.moved_to(target)
            ended_s = rail.poll().ended_s
            if ended_s is not None:
                lasted_s = ended_s - began_s
                check_lasted(homed.bench.clock, lasted_s, expected_s, max(0.1, 0.3 * expected_s))
            homed.check_truth()
        for share in (0.2, 0.4, 0.6, 0.8):
            for way in (31, -31, homed.reach(0.6)):
                homed.moved_to(homed.reach(0.3))
                rail.start_move(homed.reach(0.3) + way)
                homed.bench.pass_time(share * rail.move_time_s(way))
                rail.stop()
                status = rest(homed.bench, rail)
                gone = status.position - homed.reach(0.3)
                assert abs(gone) <= abs(way)
                assert gone * way >= 0
                homed.check_truth()

    def test_refuses_a_shaper_without_a_frequency(self, opened):
        if not isinstance(opened.rail, ShapingRail):
            pytest.skip("this rail cannot shape its moves")
        before = opened.rail.shaping
        with pytest.raises(DriverError):
            opened.rail.shape_moves(Shaping("zvd"))
        assert opened.rail.shaping == before

    def test_stops_from_another_thread(self, homed):
        target = homed.reach(1.0)
        homed.rail.start_move(target)
        homed.bench.pass_time(0.05)
        homed.bench.run(homed.rail.stop)
        assert rest(homed.bench, homed.rail).position < target

    def test_stop_at_rest_changes_nothing(self, homed):
        before = homed.rail.poll()
        homed.rail.stop()
        assert homed.rail.poll() == before

    def test_a_stopped_homing_is_no_homing(self, opened):
        opened.rail.start_home()
        opened.bench.pass_time(0.1)
        opened.rail.stop()
        status = rest(opened.bench, opened.rail)
        assert (status.homed, status.position) == (False, None)
        home(opened.bench, opened.rail)

    @pytest.mark.parametrize("moving", [True, False])
    def test_after_a_halt_the_position_is_unknown(self, homed, moving):
        if moving:
            homed.rail.start_move(homed.reach(1.0))
            homed.bench.pass_time(0.1)
        homed.bench.run(homed.rail.halt)
        status = homed.rail.poll()
        assert (status.moving, status.homed, status.position) == (False, False, None)
        with pytest.raises(DriverError):
            homed.rail.start_move(0)
        home(homed.bench, homed.rail)
        homed.moved_to(homed.reach(0.2))
        homed.check_truth()

    def test_after_a_release_the_position_is_unknown(self, homed):
        if not homed.rail.capabilities.can_release:
            pytest.skip("this rail cannot release its motor")
        homed.rail.release()
        status = homed.rail.poll()
        assert (status.moving, status.homed, status.position) == (False, False, None)

    def test_stands_still_after_close(self, homed):
        homed.rail.start_move(homed.reach(1.0))
        homed.bench.pass_time(0.05)
        homed.rail.close()
        homed.rail.open()
        assert not homed.rail.poll().moving
