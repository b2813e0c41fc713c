"""A camera that loses its power in the middle of an exposure: given up, switched on, and good again."""

import pytest

from drivers.base import CameraTimeout, DriverError
from hil.rigs import exposed, picture

TRIES = 3


@pytest.mark.needs("camera", "power_switch")
@pytest.mark.usefixtures("lit")
def test_camera_hang_and_power_cycle(bench_rig, opened, file, figure):
    """Power off in mid-exposure, given up in time, power on, a good picture."""
    supply, able = bench_rig.supply, opened.camera.capabilities
    limit_s = able.exposure_s + able.overhead_s + file.numbers.hang_timeout_s
    given_up_s, recovered_s, words = [], [], set()
    for _ in range(TRIES):
        exposed(opened.bench, opened.camera, limit_s)
        supply.off()
        try:
            off_s = opened.bench.clock.now()
            with pytest.raises(DriverError) as caught:
                opened.fetch(exposed(opened.bench, opened.camera, limit_s))
            given_up_s.append(opened.bench.clock.now() - off_s)
            words.add(
                "hung until it was cancelled"
                if isinstance(caught.value, CameraTimeout)
                else str(caught.value)
            )
            opened.bench.run(opened.camera.close)
        finally:
            supply.on()
        on_s = opened.bench.clock.now()
        data = opened.fetch(again(opened, on_s, file, limit_s))
        recovered_s.append(opened.bench.clock.now() - on_s)
        assert picture(data.payload, data.suffix) is not None or data.payload
    figure(
        "hang_given_up",
        max(given_up_s),
        "s",
        limit=limit_s + file.numbers.hang_timeout_s,
        samples=tuple(given_up_s),
        better="lower",
        note=f"From power off to an error with a name: {'; '.join(sorted(words))}.",
    )
    figure(
        "power_cycle",
        max(recovered_s),
        "s",
        limit=file.tolerances.recover_s,
        samples=tuple(recovered_s),
        better="lower",
        note="From power on to a good picture.",
    )


def again(opened, on_s, file, limit_s):
    """An exposure as soon as the camera gives one."""
    opened.bench.pass_time(file.features.power_switch.start_s)
    while True:
        try:
            opened.bench.run(opened.camera.open)
            return exposed(opened.bench, opened.camera, limit_s)
        except DriverError:
            opened.bench.run(opened.camera.close)
            if opened.bench.clock.now() - on_s > file.tolerances.recover_s:
                raise
            opened.bench.pass_time(1.0)
