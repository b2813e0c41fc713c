"""What a bench's rail is good for beyond the contract."""

import numpy as np
import pytest

from tests.contract.bench import home, rest

HOMINGS = 5
RANDOM_MOVES = 100


@pytest.fixture
def homed(rail_rig):
    rail_rig.rail.open()
    home(rail_rig.bench, rail_rig.rail)
    yield rail_rig
    rail_rig.rail.close()


def test_homing_repeats(homed):
    um = homed.rail.capabilities.microstep_um
    found = []
    for share in np.linspace(0.1, 0.9, HOMINGS):
        homed.moved_to(homed.reach(share))
        found.append(home(homed.bench, homed.rail).home_error)
    assert max(abs(error) * um for error in found) < 20.0


def test_no_step_is_lost_in_random_moves_and_stops(homed):
    random = np.random.default_rng(3)
    for share in random.random(RANDOM_MOVES):
        target = homed.reach(share)
        if target == homed.rail.poll().position:
            continue
        homed.rail.start_move(target)
        if random.random() < 0.3:
            homed.bench.pass_time(0.05)
            homed.rail.stop()
        assert rest(homed.bench, homed.rail).homed
    homed.check_truth()
    error = home(homed.bench, homed.rail).home_error
    assert abs(error) * homed.rail.capabilities.microstep_um < 20.0
