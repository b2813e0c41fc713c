"""What the rig is: `info`, and what never changes of it."""

from __future__ import annotations

import rigd
from drivers.base import CameraCapabilities, DriverError
from rigd.app import Rig
from rigd.config import RigConfig
from rigd.messages import reports, verbs
from rigd.messages.base import CONTRACT


def camera_capabilities(rig: Rig) -> CameraCapabilities:
    """What the camera is; nothing but its driver's name before it is open, where the driver knows no more until then."""
    try:
        return rig.parts.camera.capabilities
    except DriverError:
        return CameraCapabilities(
            rig.config.camera.driver, width=0, height=0, suffix="", frame_bytes=0, exposure_s=0.0
        )


def portrait(rig: Rig, base: RigConfig, base_hash: str) -> reports.Info:
    """What the rig is and may do. `base` is its config without the settings of the moment, `base_hash` the hash of that."""
    rail, camera = rig.parts.rail.capabilities, camera_capabilities(rig)
    lacking = {
        "identify": rig.parts.light is None,
        "release": not rail.can_release,
    }
    return reports.Info(
        rig=base.rig.id,
        name=base.rig.name,
        contract=CONTRACT,
        version=rigd.__version__,
        config_hash=base_hash,
        rail=reports.RailInfo(
            name=rail.name,
            travel_um=rail.travel_um,
            microstep_um=rail.microstep_um,
            max_speed_um_per_s=rail.max_speed_um_per_s,
            backlash_um=rail.backlash_um,
            can_release=rail.can_release,
        ),
        camera=reports.CameraInfo(
            name=camera.name,
            width=camera.width,
            height=camera.height,
            suffix=camera.suffix,
            exposure_s=camera.exposure_s,
            max_frames=camera.max_frames,
        ),
        light=rig.parts.light is not None,
        limits=reports.Limits(
            min_um=base.limits.min_um,
            max_um=base.limits.max_um,
            jog_max_um=base.jog.max_distance_um,
            jog_speed_um_per_s=base.jog.speed_um_per_s,
            jog_hold_max_s=base.remote.jog_hold_max_s,
        ),
        verbs=[name for name in verbs.VERBS if not lacking.get(name, False)],
        settings=list(verbs.SETTINGS),
        profiles=sorted(base.profiles),
    )
