"""What a simulated camera looks through: scene, thin lens and renderer, for pictures and for bursts alike."""

from __future__ import annotations

import functools
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drivers.sim.options import SimCameraOptions
from drivers.sim.truth import Track

SHAKE = (0.6, 0.8)
"""Direction of the image's shift while the rig rings, right and down."""
STILL_PX = 0.02
"""An image that shifts less than this during an exposure is rendered without motion."""


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


@functools.lru_cache(maxsize=2)
def _scene(name: str, size: tuple[int, int], ends_um: tuple[float, float], seed: int) -> Any:
    """The last scene is kept, and that of its bursts: painting one takes seconds, and a camera is opened again after a hang."""
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


def developed(
    optics: Optics,
    options: SimCameraOptions,
    track: Track,
    coupling: float,
    *,
    brightness: float,
    seed: int,
    still_px: float = STILL_PX,
) -> NDArray[np.uint8]:
    """The picture that a sensor makes of a path of the carriage, (H, W, 3) RGB uint8; shifts below `still_px` are left out."""
    px_per_um = coupling * options.magnification / options.pixel_pitch_um
    path = track.ring_um[:, np.newaxis] * np.array(SHAKE) * px_per_um
    shaken = bool(np.abs(path).max() > still_px)
    mean_um = float(track.position_um.mean())
    light = optics.render(mean_um, path if shaken else None, track.position_um - mean_um)
    return optics.develop(light, gain=brightness, seed=seed)
