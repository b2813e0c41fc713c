"""Point clouds and meshes as PLY: binary little endian, version 1.0 (Turk, "The PLY Polygon File Format", 1994)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stackcore.export.surface import Surface
from stackcore.files.write import write_whole

_TYPES = {"<f4": "float", "u1": "uchar", "<i4": "int"}


def write_ply(path: str | Path, surface: Surface) -> None:
    """Write a surface, atomically: points with 8-bit colours, normals if there are any, triangles if there are any.

    Coordinates are in the surface's own unit, micrometres when it is true to scale; the comments say so.

    Raises:
        WriteError: when the file cannot be written; it names it.
    """
    fields = [(name, "<f4") for name in ("x", "y", "z")]
    if surface.normals is not None:
        fields += [(name, "<f4") for name in ("nx", "ny", "nz")]
    fields += [(name, "u1") for name in ("red", "green", "blue")]
    vertices = np.zeros(len(surface.points), fields)
    for k, name in enumerate(("x", "y", "z")):
        vertices[name] = surface.points[:, k]
    for k, name in enumerate(("red", "green", "blue")):
        vertices[name] = np.rint(np.clip(surface.colours[:, k], 0, 1) * 255)
    if surface.normals is not None:
        for k, name in enumerate(("nx", "ny", "nz")):
            vertices[name] = surface.normals[:, k]
    faces = np.zeros(len(surface.triangles), [("count", "u1"), ("corners", "<i4", (3,))])
    faces["count"] = 3
    faces["corners"] = surface.triangles
    header = _header(surface, fields).encode("ascii", "replace")
    write_whole(Path(path), [header, vertices.tobytes(), faces.tobytes()])


def _header(surface: Surface, fields: list[tuple[str, str]]) -> str:
    lines = ["ply", "format binary_little_endian 1.0", f"comment {surface.note}"]
    lines.append(f"element vertex {len(surface.points)}")
    lines += [f"property {_TYPES[kind]} {name}" for name, kind in fields]
    if len(surface.triangles):
        lines.append(f"element face {len(surface.triangles)}")
        lines.append("property list uchar int vertex_indices")
    return "\n".join([*lines, "end_header", ""])
