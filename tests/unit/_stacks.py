"""Small stacks with known truth, and methods and measures that only remember, for tests of what joins the parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from stackcore.aligned import IDENTITY
from stackcore.depth import DepthMap
from stackcore.files import write_picture
from stackcore.methods import Fused

HEIGHT, WIDTH, FRAMES = 48, 64, 6


def frame_pixels(k: int, frames: int = FRAMES, seed: int = 3) -> np.ndarray:
    """Frame `k` of a stack of upright strips: strip j is textured in frame j, and flat in all others."""
    texture = np.random.default_rng(seed).integers(40, 216, (HEIGHT, WIDTH, 3), np.uint8)
    pixels = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    strip = slice(k * WIDTH // frames, (k + 1) * WIDTH // frames)
    pixels[:, strip] = texture[:, strip]
    return pixels


def stack_pixels(frames: int = FRAMES) -> list[np.ndarray]:
    return [frame_pixels(k, frames) for k in range(frames)]


def truth(frames: int = FRAMES, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 216, (HEIGHT, WIDTH, 3), np.uint8)


def write_stack(folder: Path, frames: int = FRAMES, suffix: str = ".png") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"f{k:03d}{suffix}" for k in range(frames)]
    for k, path in enumerate(paths):
        write_picture(path, frame_pixels(k, frames))
    return paths


@dataclass
class Place:
    """A registration that says what the test wants."""

    matrix: np.ndarray
    gain: np.ndarray
    found: bool = True
    reason: str = ""
    correlation: float = 0.9


@dataclass
class FakeMeasure:
    """Finds every frame moved by its index, but for those that it is told to lose."""

    lost: frozenset[int] = frozenset()
    seen: list[int] = field(default_factory=list)

    def add(self, pixels: np.ndarray, index: int, **_: Any) -> Place:
        self.seen.append(index)
        matrix = IDENTITY.copy()
        matrix[0, 2] = index
        gain = np.full(3, 1 + index / 100, np.float32)
        if index in self.lost:
            return Place(matrix, gain, found=False, reason="too little in common")
        return Place(matrix, gain)


class FakeMethod:
    """Remembers what it was given; its picture is the last frame."""

    made: ClassVar[list[FakeMethod]] = []

    def __init__(self, setting: Any, passes: int = 1) -> None:
        self.setting = setting
        self.passes = passes
        self.added: list[tuple[int, int]] = []
        self.matrices: list[list[np.ndarray]] = [[], []]
        self.closed = 0
        self.picture: np.ndarray | None = None
        FakeMethod.made.append(self)

    def add(self, frame: Any, pass_number: int = 0) -> None:
        self.added.append((pass_number, frame.index))
        self.matrices[pass_number].append(frame.matrix)
        self.picture = np.array(frame.pixels)

    def preview(self) -> Any:
        return self.picture

    def finish(self) -> Fused:
        assert self.picture is not None
        depth = np.full(self.picture.shape[:2], self.added[-1][1], np.float32)
        return Fused(self.picture, DepthMap(depth, np.ones_like(depth)))

    def close(self) -> None:
        self.closed += 1
