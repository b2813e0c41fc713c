"""The stacks that fusion is measured on: rendered ones whose truth is known, and photographs, whose truth nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

DATA = Path(__file__).parents[3] / "shared" / "data"

SCENE_WIDTH, SCENE_HEIGHT, SCENE_FRAMES = 1600, 1200, 24
SCENE_NEAR_UM, SCENE_STEP_UM = 1000.0, 60.0
SCENE_F_NUMBER, SCENE_PITCH_UM = 5.6, 3.9
DOF_STEP_UM = 140.0
"""0.8 of the depth of field, as a plan takes it: 2 c N (1 + m) / m^2 with a blur circle c of two pixels, at m = 1."""
SCENE_DISTANCE_UM = 100_000.0
"""Entrance pupil to focal plane: frames grow by 0.06 % a step, and 1.4 % over the stack."""

DEPTH_COUNTS_A_FRAME = 2000.0


@dataclass(frozen=True)
class Case:
    """A stack, and what is known about it.

    Attributes:
        name: as in the tables.
        folder: holds the frames and nothing else.
        aligned: the frames lie on each other; peers are told so where they can be.
        truth: (H, W, 3) RGB uint8, everything in focus; None for photographs.
        depth: (H, W) float32, in frames.
        crops: centres (x, y) of places worth a look, as shares of width and height.
        peers: whether other programs are run on it too.
    """

    name: str
    folder: Path
    aligned: bool
    truth: np.ndarray | None = None
    depth: np.ndarray | None = None
    crops: tuple[tuple[float, float], ...] = ((0.3, 0.3), (0.5, 0.5), (0.7, 0.7))
    peers: bool = True

    @property
    def frames(self) -> list[Path]:
        return sorted(self.folder.iterdir())

    @property
    def megapixels(self) -> float:
        height, width = cv2.imread(str(self.frames[0]), cv2.IMREAD_GRAYSCALE).shape
        return height * width / 1e6


class Absent(Exception):
    """A case that cannot be had here; says why."""


def _linked(files: list[Path], folder: Path) -> Path:
    """A folder with the frames only, since some programs take every picture that lies beside them."""
    folder.mkdir(parents=True)
    for index, path in enumerate(files):
        (folder / f"f{index:04d}{path.suffix.lower()}").symlink_to(path.resolve())
    return folder


def read_rgb(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def rendered(letter: str, aligned: bool) -> Callable[[Path], Case]:
    """A case of the sibling folder of shared data: rendered independently of any stacker, and of this project's simulator."""

    def make(scratch: Path) -> Case:
        source = DATA / "synthetic" / letter
        if not source.is_dir():
            raise Absent(f"there is no {source}")
        depth = cv2.imread(str(source / "depth_frames_x2000.png"), cv2.IMREAD_UNCHANGED)
        return Case(
            letter,
            _linked(sorted(source.glob("f*.jpg")), scratch / letter),
            aligned,
            read_rgb(source / "truth.png"),
            depth.astype(np.float32) / DEPTH_COUNTS_A_FRAME,
            # In A: bars under the ring's rim, wires across it, a board with print.
            ((0.3, 0.42), (0.72, 0.38), (0.75, 0.6)),
        )

    return make


def photographed(name: str, *crops: tuple[float, float]) -> Callable[[Path], Case]:
    def make(scratch: Path) -> Case:
        source = DATA / name
        if not source.is_dir():
            raise Absent(f"there is no {source}")
        files = sorted(path for path in source.iterdir() if path.suffix.lower() == ".jpg")
        return Case(name, _linked(files, scratch / name), aligned=False, crops=crops)

    return make


def simulated(scene_name: str, step_um: float = SCENE_STEP_UM) -> Callable[[Path], Case]:
    """A scene of the project's simulator, photographed from a rail: perspective, noise, JPEG at quality 95."""
    suffix = "" if step_um == SCENE_STEP_UM else f"-{step_um:.0f}um"

    def make(scratch: Path) -> Case:
        import simplejpeg

        from drivers.sim.lens import ThinLens
        from drivers.sim.render import Renderer, develop
        from drivers.sim.scenes import make_scene

        far_um = SCENE_NEAR_UM + (SCENE_FRAMES - 1) * step_um
        size = {"width": SCENE_WIDTH, "height": SCENE_HEIGHT}
        scene = make_scene(scene_name, **size, near_um=SCENE_NEAR_UM, far_um=far_um, seed=5)
        renderer = Renderer(scene, ThinLens(1.0, SCENE_F_NUMBER, SCENE_PITCH_UM, SCENE_DISTANCE_UM))
        folder = scratch / f"{scene_name}{suffix}"
        folder.mkdir(parents=True)
        for index in range(SCENE_FRAMES):
            linear = renderer.render(SCENE_NEAR_UM + index * step_um)
            picture = develop(linear, read_noise=1.0, photons_full_scale=20_000.0, seed=index)
            (folder / f"f{index:04d}.jpg").write_bytes(simplejpeg.encode_jpeg(picture, quality=95))
        truth = renderer.truth()
        depth = (truth.depth_um - SCENE_NEAR_UM) / step_um
        return Case(f"sim-{scene_name}{suffix}", folder, False, truth.picture, depth.astype(np.float32))

    return make


def occluded(name: str, seed: int) -> Callable[[Path], Case]:
    """Planes of texture before each other, as in the tests; PNG, so that noise and blur are all that is lost.

    With so many shapes and so much blur, the mean of the frames comes to 22 dB and a plain argmax of SML to 30.3 to 31.8, by the seed.
    """

    def make(scratch: Path) -> Case:
        from tests.unit._scenes import occlusion_scene

        scene = occlusion_scene(760, 1014, 24, seed=seed, blur_px_per_frame=1.4, shapes=8)
        folder = scratch / name
        folder.mkdir(parents=True)
        for index, frame in enumerate(scene.frames):
            path = str(folder / f"f{index:04d}.png")
            cv2.imwrite(path, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        return Case(name, folder, True, scene.truth, scene.depth, peers=name == OCCLUDED[0])

    return make


OCCLUDED = ("occlusion", "occlusion-2", "occlusion-3", "occlusion-4", "occlusion-5")
"""Scenes of one kind. From one to the next a method's figure changes by more than methods differ: what counts is the mean."""


MAKERS: dict[str, Callable[[Path], Case]] = {
    "A": rendered("A", aligned=True),
    "B": rendered("B", aligned=False),
    "C": rendered("C", aligned=True),
    "D": rendered("D", aligned=False),
    **{name: occluded(name, seed) for seed, name in enumerate(OCCLUDED, 1)},
    "sim-ring": simulated("ring"),
    "sim-insect": simulated("insect"),
    "sim-tilt": simulated("tilt"),
    "sim-tilt-140um": simulated("tilt", DOF_STEP_UM),
    # Print beside never-sharp ground, the button's rim, a shiny contact.
    "pcb-switch": photographed("pcb-switch", (0.48, 0.17), (0.42, 0.45), (0.85, 0.72)),
    # Dirt on the glass, the bright core, the rim before the dark.
    "fibre-end-rpi": photographed("fibre-end-rpi", (0.3, 0.45), (0.52, 0.48), (0.86, 0.5)),
    # Hairs before the light, above and below, and a claw.
    "micro-scorpion-rpi": photographed("micro-scorpion-rpi", (0.3, 0.1), (0.28, 0.86), (0.58, 0.8)),
}
