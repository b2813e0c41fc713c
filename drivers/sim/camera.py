"""The simulated camera: a free-running sensor on the simulated rail, looking at a scene through a thin lens.

When an exposure ends, the path of the carriage during it is noted; the picture is rendered when it is fetched. So a frame
exposed during a move shows the move, one exposed while the rig rings is blurred by that ringing, and nothing grows with the
number of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.base import (
    BurstCapabilities,
    BurstFrame,
    CameraCapabilities,
    CameraSettings,
    DriverError,
    Exposure,
    FrameData,
    TransferFailed,
    Unplugged,
)
from drivers.registry import Context
from drivers.sim import burst
from drivers.sim.optics import Optics, ThinLensOptics, developed
from drivers.sim.options import Fault, SimCameraOptions
from drivers.sim.sensor import Shutterwork, Tray
from drivers.sim.truth import LAMPS, POWER, WORLD, Lamps, StillWorld, Track, TrueExposure, World

PORT = "sim camera"
DRIFTED = 1.2
"""Factor of exposure time and gain after a drift of settings."""


make_optics = ThinLensOptics
"""What a camera looks through; tests of timing put something simpler here."""


@dataclass(frozen=True, slots=True)
class _Shot:
    """All that a picture is rendered from."""

    frame: int
    sequence: int
    track: Track
    coupling: float
    brightness: float
    settings: CameraSettings
    ready_s: float
    capture: int


class SimCamera:
    """A camera with exposure, noise, motion blur and faults on request.

    Args:
        options: the camera, its lens and its subject.
        context: its clock and seed; `shared` may hold the world of a simulated rail and lamps.
    """

    def __init__(self, options: SimCameraOptions, context: Context) -> None:
        self._options = options
        self._context = context
        self._clock = context.clock
        self._still = StillWorld()
        self._tray: Tray[_Shot] = Tray(PORT)
        self._last: _Shot | None = None
        self._captures = 0
        self._optics: Optics | None = None
        self._burst_options = burst.burst_options(options)
        self._burst_optics: Optics | None = None
        self._work = Shutterwork(
            PORT,
            context.clock,
            period_s=options.period_s,
            exposure_s=options.exposure_s,
            buffers=options.buffers,
        )

    @property
    def capabilities(self) -> CameraCapabilities:
        """As the options declare."""
        return self._options.declared()

    @property
    def world(self) -> World:
        """What carries the camera, with the log of what was really exposed."""
        world: World = self._context.shared.get(WORLD, self._still)
        return world

    def open(self) -> None:
        """Build scene and renderer (the first time, kernels are compiled) and start the sensor. Raises `Unplugged`."""
        if not self._work.running:
            if not self._powered:
                raise Unplugged(PORT, "opening")
            if self._optics is None:
                self._optics = make_optics(self._options, self._context.seed)
            self._work.start()

    def close(self) -> None:
        """Stop the sensor. Pictures not fetched are lost."""
        self._work.halt()
        self._work.cancel()
        self._tray.clear()
        self._last = None

    def cancel(self) -> None:
        """End the running `expose` or `fetch`."""
        self._work.cancel()

    def truth(self, reference_um: float | None = None) -> Any:
        """All-in-focus picture (H, W, 3) uint8 and depth (H, W) in µm, as seen from `reference_um`."""
        return self._ready_optics().truth(reference_um)

    # ---------------------------------------------------------------------------------------------------------- expose

    def expose(self, not_before_s: float, position_um: float) -> Exposure:
        """Take a frame. In mode `naive` its exposure may have begun before `not_before_s`: that is the point of it."""
        asked_s = self._work.begin()
        self._still.position_um = position_um
        self._captures += 1
        faults = self._options.faults
        if not self._powered or self._happens("hang", faults.hang, self._captures):
            self._work.hang(asked_s)
        if self._last is not None and self._happens("duplicate", faults.duplicate, self._captures):
            return self._served(self._last)
        if self._happens("stale", faults.stale, self._captures):
            back = 1 + int(self._random("how stale", self._captures).integers(self._options.buffers))
            frame = self._work.older(back)
        elif self._options.mode == "naive":
            frame = self._work.newest()
        else:
            frame = self._work.fresh(not_before_s)
        self._work.wait(self._work.sensor.end_s(frame), asked_s)
        if not self._powered:
            self._work.hang(asked_s)
        return self._served(self._look(frame))

    def _look(self, frame: int) -> _Shot:
        """Note what a finished exposure saw."""
        sensor, world = self._work.sensor, self.world
        start_s, end_s = sensor.start_s(frame), sensor.end_s(frame)
        samples = int(np.clip(np.ceil(400 * self._options.exposure_s), 32, 256))
        track = world.track(start_s + (np.arange(samples) + 0.5) / samples * (end_s - start_s))
        sequence = self._work.sequence(frame)
        world.exposures.add(
            sequence,
            TrueExposure(
                start_s=start_s,
                end_s=end_s,
                position_um=float(track.position_um.mean()),
                span_um=float(np.ptp(track.position_um)),
                ring_um_max=float(np.abs(track.ring_um).max()),
                moving=track.moving,
            ),
        )
        settings, brightness = self.capabilities.settings, self._brightness(start_s, end_s, sequence)
        if self._happens("drift", self._options.faults.drift, self._captures):
            settings = replace(settings, exposure_s=self._options.exposure_s * DRIFTED, gain=DRIFTED)
            brightness *= DRIFTED**2
        if self._happens("black", self._options.faults.black, self._captures):
            brightness = 0.0
        ready_s = end_s + self._options.transfer_s
        return _Shot(
            frame, sequence, track, world.ring_coupling, brightness, settings, ready_s, self._captures
        )

    def _served(self, shot: _Shot) -> Exposure:
        self._last = shot
        sensor = self._work.sensor
        start_s, end_s = sensor.start_s(shot.frame), sensor.end_s(shot.frame)
        return Exposure(start_s, end_s, shot.sequence, shot.settings, self._tray.put(shot))

    @property
    def _powered(self) -> bool:
        supply = self._context.shared.get(POWER)
        return supply is None or bool(supply.is_on)

    def _brightness(self, start_s: float, end_s: float, sequence: int) -> float:
        lamps: Lamps | None = self._context.shared.get(LAMPS)
        light = 1.0 if lamps is None else lamps.mean_between(start_s, end_s)
        flicker = self._options.flicker
        return (
            light * max(0.0, 1.0 + flicker * self._random("flicker", sequence).standard_normal())
            if flicker
            else light
        )

    # ----------------------------------------------------------------------------------------------------------- fetch

    def fetch(self, exposure: Exposure) -> FrameData:
        """Render and encode the picture. Raises `TransferFailed` or `CameraTimeout`."""
        asked_s = self._work.begin()
        shot = self._tray.take(exposure.handle)
        faults = self._options.faults
        if not self._powered or self._happens("hang transfer", faults.hang_transfer, shot.capture):
            self._work.hang(asked_s)
        self._work.wait(shot.ready_s, asked_s)
        if self._happens("lost", faults.lost, shot.capture):
            raise TransferFailed(PORT, f"picture {shot.sequence} could not be read from the camera")
        payload = self._encode(self.develop(shot.track, shot.coupling, shot.brightness, shot.sequence))
        if self._happens("truncated", faults.truncated, shot.capture):
            payload = payload[: len(payload) * 6 // 10]
        return FrameData(payload, self._options.suffix)

    def develop(self, track: Track, coupling: float, brightness: float, sequence: int) -> NDArray[np.uint8]:
        """The picture that the sensor makes of a path of the carriage, (H, W, 3) RGB uint8."""
        seed = self._seed("noise", sequence)
        return developed(
            self._ready_optics(), self._options, track, coupling, brightness=brightness, seed=seed
        )

    def _encode(self, picture: NDArray[np.uint8]) -> bytes:
        if self._options.format == "png":
            import cv2  # noqa: PLC0415  (only for this format)

            done, encoded = cv2.imencode(".png", picture[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
            if not done:
                raise TransferFailed(PORT, "the picture could not be encoded as PNG")
            return bytes(encoded.tobytes())
        import simplejpeg  # noqa: PLC0415  (not needed by config checks)

        quality, picture = self._options.jpeg_quality, np.ascontiguousarray(picture)
        return bytes(simplejpeg.encode_jpeg(picture, quality, "RGB", colorsubsampling="422"))

    # ----------------------------------------------------------------------------------------------------------- burst

    @property
    def burst_capabilities(self) -> BurstCapabilities:
        """As the options declare."""
        return burst.burst_capabilities(self._options)

    def burst(
        self, frames: int, rate_hz: float, not_before_s: float, position_um: float
    ) -> Sequence[BurstFrame]:
        """Watch: the frames are rendered when the last one's exposure is over. A burst counts as one capture."""
        asked_s = self._work.begin()
        self._still.position_um = position_um
        self._captures += 1
        spans_s = burst.times(self._options, frames, rate_hz, max(not_before_s, asked_s))
        faults, capture = self._options.faults, self._captures
        if self._happens("hang", faults.hang, capture):
            self._work.hang(asked_s)
        self._work.wait(float(spans_s[-1, 1]), asked_s)
        if self._burst_optics is None:
            self._burst_optics = make_optics(self._burst_options, self._context.seed)
        optics, world = self._burst_optics, self.world
        brightness = self._brightness(float(spans_s[0, 0]), float(spans_s[-1, 1]), capture)

        def develop(
            position_um: NDArray[np.float64], ring_um: NDArray[np.float64], number: int
        ) -> NDArray[np.uint8]:
            track = Track(position_um, ring_um, moving=True)
            seed = self._seed("burst", capture * burst.LONGEST_BURST + number)
            return developed(
                optics,
                self._burst_options,
                track,
                world.ring_coupling,
                brightness=brightness,
                seed=seed,
                still_px=burst.STILL_PX,
            )

        return burst.taken(
            world, spans_s, develop, lambda number: self._happens("burst lost", faults.burst_lost, number + 1)
        )

    # ---------------------------------------------------------------------------------------------------------- chance

    def _ready_optics(self) -> Optics:
        if self._optics is None:
            raise DriverError(PORT, "not open: there is no scene yet")
        return self._optics

    def _happens(self, kind: str, fault: Fault, capture: int) -> bool:
        if capture in fault.at:
            return True
        return fault.probability > 0 and self._random(kind, capture).random() < fault.probability

    def _random(self, kind: str, number: int) -> np.random.Generator:
        return np.random.default_rng(self._seed(kind, number))

    def _seed(self, kind: str, number: int) -> int:
        """Of one decision about one frame, so that what happens does not depend on what happened before."""
        mixed = np.random.SeedSequence([self._context.seed, number, *kind.encode()])
        return int(mixed.generate_state(1)[0])
