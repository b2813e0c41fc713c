"""Stacks that move in a known way: the scenes of `_scenes`, seen through a similarity and a change of light from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from tests.unit._scenes import texture

SHAPE, MARGIN, COUNT = (600, 800), 48, 12


@dataclass(frozen=True)
class Moving:
    """Frames (uint8 RGB), the matrix (3 x 3) from the first frame to each, and the gain of each against the first."""

    frames: list[np.ndarray]
    matrices: list[np.ndarray]
    gains: np.ndarray


def similarity(
    shape: tuple[int, int], zoom: float, degrees: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """3 x 3, about the centre of a frame of this height and width."""
    centre = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    angle = np.radians(degrees)
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = turn
    matrix[:2, 2] = centre - turn @ centre + shift
    return matrix


def moved(light: np.ndarray, matrix: np.ndarray, margin: int) -> np.ndarray:
    """What a camera sees whose frame is reached from the scene's middle by `matrix`; the scene is larger by `margin` on all sides."""
    height, width = (n - 2 * margin for n in light.shape[:2])
    to_scene = np.eye(3)
    to_scene[:2, 2] = margin
    full = to_scene @ np.linalg.inv(matrix)
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(light.astype(np.float32), full[:2], (width, height), flags=flags)


def disc(radius_px: float) -> np.ndarray:
    """A uniform disc, its edge a pixel soft."""
    reach = int(np.ceil(radius_px)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius_px + 0.5 - np.hypot(x, y), 0, 1)
    return kernel / kernel.sum()


@cache
def scene_frames(seed: int) -> tuple[np.ndarray, ...]:
    """`COUNT` frames without noise or motion, larger than `SHAPE` by `MARGIN` on all sides.

    Things at five depths hide each other, each blurred by a disc before it is laid over the farther ones. (As `occlusion_scene`, in a
    tenth of the time; discs below a pixel matter less here than there.)
    """
    rng = np.random.default_rng(seed)
    height, width = (n + 2 * MARGIN for n in SHAPE)
    layers = [(0.9 * (COUNT - 1), texture(rng, height, width), np.ones((height, width), np.float32))]
    for depth in (0.7, 0.5, 0.3, 0.1):
        cover = np.zeros((height, width), np.float32)
        for _ in range(3):
            centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
            axes = (int(rng.uniform(0.05, 0.25) * width), int(rng.uniform(0.03, 0.15) * width))
            cv2.ellipse(cover, centre, axes, rng.uniform(0, 180), 0, 360, 1.0, -1, cv2.LINE_AA)
        layers.append((depth * (COUNT - 1), texture(rng, height, width), cover))
    frames = []
    for focus in range(COUNT):
        light = np.zeros((height, width, 3), np.float32)
        for depth, colour, cover in layers:
            kernel = disc(1.0 * abs(focus - depth))
            plane = cv2.filter2D(np.dstack([colour * cover[..., None], cover]), -1, kernel)
            light = plane[..., :3] + (1 - plane[..., 3:]) * light
        frames.append(light)
    return tuple(frames)


def moving_stack(
    *,
    seed: int,
    zoom_step: float = 0.0025,
    jitter_px: float = 1.5,
    degrees: float = 0.03,
    flicker: float = 0.03,
    noise: float = 1.5,
) -> Moving:
    """An occlusion scene that breathes as a rail's does (1 / zoom linear), shakes, turns and flickers."""
    rng = np.random.default_rng(seed)
    frames, matrices, gains = [], [], []
    for k, frame in enumerate(scene_frames(seed)):
        still = k == 0
        shift = (0.0, 0.0) if still else tuple(jitter_px * rng.standard_normal(2))
        turn = 0.0 if still else degrees * rng.standard_normal()
        matrix = similarity(SHAPE, 1 / (1 + zoom_step * k), turn, shift)
        gain = (
            np.ones(3) if still else 1 + flicker * rng.uniform(-1, 1) + 0.2 * flicker * rng.uniform(-1, 1, 3)
        )
        light = 0.85 * gain * moved(frame, matrix, MARGIN)
        noisy = light + noise * rng.standard_normal(light.shape)
        frames.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
        matrices.append(matrix)
        gains.append(1 / gain)
    return Moving(frames, matrices, np.array(gains))


def corners_px(found: np.ndarray, true: np.ndarray, shape: tuple[int, int]) -> float:
    """How far apart two motions (2 x 3 or 3 x 3) carry the corners of a frame, at most."""
    height, width = shape
    points = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]], float).T
    apart = found[:2] @ points - true[:2] @ points
    return float(np.hypot(apart[0], apart[1]).max())


def homogeneous(matrix: np.ndarray) -> np.ndarray:
    return np.vstack([matrix[:2], [0, 0, 1]])
