"""The simulated camera: a free-running sensor on the simulated rail, looking at a scene through a thin lens.

When an exposure ends, the path of the carriage during it is noted; the picture is rendered when it is fetched. So a frame
exposed during a move shows the move, one exposed while the rig rings is blurred by that ringing, and nothing grows with the
number of frames.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drivers.base import CameraCapabilities, CameraSettings, DriverError, Exposure, FrameData, TransferFailed
from drivers.registry import Context
from drivers.sim.options import Fault, SimCameraOptions
from drivers.sim.sensor import Shutterwork, Tray
from drivers.sim.truth import LAMPS, WORLD, Lamps, StillWorld, Track, TrueExposure, World

PORT = "sim camera"
SHAKE = (0.6, 0.8)
"""Direction of the image's shift while the rig rings, right and down."""
STILL_PX = 0.02
"""An image that shifts less than this during an exposure is rendered without motion."""
DRIFTED = 1.2
"""Factor of exposure time and gain after a drift of settings."""


class Optics(Protocol):
    """Scene, lens and renderer behind a simulated camera."""

    def render(
        self, position_um: float, path_px: NDArray[np.float64] | None, path_um: NDArray[np.float64]
    ) -> Any:
        """Linear light (H, W, 3), averaged over the path of the image (n, 2) in pixels and of the carriage (n,) in µm."""

    def develop(self, linear: Any, *, gain: float, seed: int) -> NDArray[np.uint8]:
        """What the sensor makes of it, (H, W, 3) RGB."""

    def truth(self, reference_um: float | None = None) -> Any:
        """All-in-focus picture and depth in micrometres."""


@functools.lru_cache(maxsize=1)
def _scene(name: str, size: tuple[int, int], ends_um: tuple[float, float], seed: int) -> Any:
    """The last scene is kept: painting one takes seconds, and a camera is opened again after a hang."""
    from drivers.sim.scenes import make_scene  # noqa: PLC0415  (Numba stays out of config checks)

    width, height = size
    near_um, far_um = ends_um
    return make_scene(name, width=width, height=height, near_um=near_um, far_um=far_um, seed=seed)


class ThinLensOptics:
    """The real thing: `drivers.sim.render`, imported when a camera is opened."""

    def __init__(self, options: SimCameraOptions, seed: int) -> None:
        from drivers.sim import render  # noqa: PLC0415  (Numba and OpenCV stay out of config checks)
        from drivers.sim.lens import ThinLens  # noqa: PLC0415

        self._options = options
        self._develop = render.develop
        lens = ThinLens(
            magnification=options.magnification,
            f_number=options.f_number,
            pixel_pitch_um=options.pixel_pitch_um,
            pupil_to_focus_um=options.pupil_to_focus_um,
        )
        render.warm_up()
        size, ends_um = (options.width, options.height), (options.near_um, options.far_um)
        scene = _scene(options.scene, size, ends_um, seed)
        self._renderer = render.Renderer(scene, lens, threads=options.threads)

    def render(
        self, position_um: float, path_px: NDArray[np.float64] | None, path_um: NDArray[np.float64]
    ) -> Any:
        """Linear light."""
        return self._renderer.render(position_um, path_px, path_um)

    def develop(self, linear: Any, *, gain: float, seed: int) -> NDArray[np.uint8]:
        """Light to 8-bit RGB, with the options' noise."""
        picture: NDArray[np.uint8] = self._develop(
            linear,
            gain=gain,
            read_noise=self._options.read_noise,
            photons_full_scale=self._options.photons_full_scale,
            seed=seed,
            threads=self._options.threads,
        )
        return picture

    def truth(self, reference_um: float | None = None) -> Any:
        """From the renderer."""
        return self._renderer.truth(reference_um)


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
        """Build scene and renderer (the first time, kernels are compiled) and start the sensor."""
        if not self._work.running:
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
        if self._happens("hang", faults.hang, self._captures):
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
        settings, brightness = self.capabilities.settings, self._brightness((start_s + end_s) / 2, sequence)
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

    def _brightness(self, when_s: float, sequence: int) -> float:
        lamps: Lamps | None = self._context.shared.get(LAMPS)
        light = 1.0 if lamps is None else lamps.level_at(when_s)
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
        if self._happens("hang transfer", faults.hang_transfer, shot.capture):
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
        optics = self._ready_optics()
        px_per_um = coupling * self._options.magnification / self._options.pixel_pitch_um
        path = track.ring_um[:, np.newaxis] * np.array(SHAKE) * px_per_um
        shaken = bool(np.abs(path).max() > STILL_PX)
        mean_um = float(track.position_um.mean())
        light = optics.render(mean_um, path if shaken else None, track.position_um - mean_um)
        return optics.develop(light, gain=brightness, seed=self._seed("noise", sequence))

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
