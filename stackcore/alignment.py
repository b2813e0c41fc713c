"""How the frames of a stack lie on their first, kept in a file: to fuse a stack again without measuring it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stackcore.aligned import Matrix, upright
from stackcore.files import write_whole

FORMAT = 1
"""A reader refuses a newer one."""
_KIND = "stackcore registration"
_FARTHEST, _SMALLEST = 1e6, 1e-3
"""A frame lies within so many pixels, and is not shrunk to less than this share of its area."""


class BadAlignment(ValueError):
    """A registration that cannot be used: says which file, and why."""


@dataclass(frozen=True)
class Placed:
    """One frame of it.

    Attributes:
        index: place in the stack it was measured on.
        name: of its file.
        found: whether it could be registered; one that could not is left out again.
        reason: why not.
        matrix: 2 x 3, pixels of the reference to pixels of the frame.
        gain: (3,), pixels times gain are as bright as the reference.
        correlation: how well it agreed, up to 1.
    """

    index: int
    name: str
    found: bool
    reason: str
    matrix: Matrix
    gain: npt.NDArray[np.float32]
    correlation: float = 1.0


@dataclass(frozen=True)
class Alignment:
    """A whole stack's.

    Attributes:
        height, width: of every frame, px.
        placed: the frames in order.
        source: the file it is from, for messages.
    """

    height: int
    width: int
    placed: tuple[Placed, ...]
    source: str = ""

    def for_stack(self, names: Sequence[str]) -> Mapping[int, Placed]:
        """The frames of another stack, by their index there.

        They are found by name. A stack with other names (the same thing photographed again) is taken frame by frame in order, when it
        has as many.

        Raises:
            BadAlignment: it is of neither kind.
        """
        by_name = {one.name: one for one in self.placed}
        if len(by_name) == len(self.placed) and all(name in by_name for name in names):
            return {index: by_name[name] for index, name in enumerate(names)}
        if len(names) == len(self.placed):
            return dict(enumerate(self.placed))
        missing = next((name for name in names if name not in by_name), "")
        raise BadAlignment(
            f"{self.source or 'the registration'} has {len(self.placed)} frames, the stack {len(names)}, and "
            f"{missing} is not among them: register this stack anew, or name the same frames"
        )


def save(path: str | Path, alignment: Alignment) -> None:
    """Write it as JSON, atomically. Raises `stackcore.files.WriteError`."""
    text = json.dumps(to_dict(alignment), indent=1) + "\n"
    write_whole(Path(path), [text.encode()])


def load(path: str | Path) -> Alignment:
    """Read one.

    Raises:
        BadAlignment: it is not one, or of a newer kind.
        OSError: it cannot be read.
    """
    try:
        return from_dict(json.loads(Path(path).read_bytes()), str(path))
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, BadAlignment):
            raise
        raise BadAlignment(
            f"{path} is not a registration of stackcore ({error}); write one with --save-registration"
        ) from error


def to_dict(alignment: Alignment) -> dict[str, Any]:
    """As plain data, numbers exact."""
    return {
        "kind": _KIND,
        "format": FORMAT,
        "height": alignment.height,
        "width": alignment.width,
        "matrix_is": "2 x 3, pixels (x, y) of the first frame to pixels of this frame; pixel centres at whole numbers",
        "frames": [
            {
                "index": one.index,
                "name": one.name,
                "found": one.found,
                "reason": one.reason,
                "correlation": float(one.correlation),
                "matrix": one.matrix.tolist(),
                "gain": [float(value) for value in one.gain],
            }
            for one in alignment.placed
        ],
    }


def from_dict(data: Any, source: str = "") -> Alignment:
    """From plain data. Raises `BadAlignment`, KeyError, TypeError or ValueError when they are something else."""
    if not isinstance(data, dict) or data.get("kind") != _KIND:
        raise BadAlignment(f"{source} is not a registration of stackcore; write one with --save-registration")
    if not isinstance(data.get("format"), int) or data["format"] > FORMAT:
        raise BadAlignment(
            f"{source} is of a newer kind (format {data.get('format')}); update stackcore to read it"
        )
    return Alignment(int(data["height"]), int(data["width"]), tuple(_placed(data["frames"])), source)


def _placed(rows: Iterable[Mapping[str, Any]]) -> Iterable[Placed]:
    for row in rows:
        matrix = np.asarray(row["matrix"], np.float64)
        gain = np.asarray(row["gain"], np.float32)
        if (
            matrix.shape != (2, 3)
            or gain.shape != (3,)
            or not (np.isfinite(matrix).all() and (gain > 0).all())
        ):
            raise ValueError(f"frame {row['index']} has no matrix of 2 x 3 and three gains")
        size = float(np.linalg.det(matrix[:, :2]))
        if not (np.abs(matrix).max() < _FARTHEST and size > _SMALLEST and upright(matrix)):
            raise ValueError(f"the matrix of frame {row['index']} is no place where a frame can lie")
        yield Placed(
            int(row["index"]),
            str(row["name"]),
            bool(row["found"]),
            str(row["reason"]),
            matrix,
            gain,
            float(row.get("correlation", 1.0)),
        )
