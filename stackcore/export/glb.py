"""Meshes and point clouds as GLB, the binary form of glTF 2.0 (Khronos specification 2.0.1, sections 3.6, 3.7 and 4.4).

One scene, one node, one mesh, one buffer. Lengths are metres; colours are linear light in 16 bits, since 8 would band in the
shadows. The material is unlit (KHR_materials_unlit) unless asked otherwise: the photograph has its light already.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stackcore.export.surface import Surface
from stackcore.files.write import write_whole

_MAGIC, _VERSION = 0x46546C67, 2
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_UNSIGNED_SHORT, _UNSIGNED_INT, _FLOAT = 5123, 5125, 5126
_VERTICES, _INDICES = 34962, 34963
_POINTS, _TRIANGLES = 0, 4
_ALIGNMENT = 4
_LARGEST = 2**32 - 1


@dataclass
class _Buffer:
    """The one buffer as it grows, with its views and accessors."""

    views: list[dict[str, int]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    length: int = 0

    def add(self, array: npt.NDArray[Any], kind: str, component: int, target: int, **more: Any) -> int:
        """Append (n,) or (n, k) values; the number of their accessor."""
        data = array.tobytes()
        data += b"\0" * (-len(data) % _ALIGNMENT)
        self.views.append(
            {"buffer": 0, "byteOffset": self.length, "byteLength": array.nbytes, "target": target}
        )
        accessor = {
            "bufferView": len(self.views) - 1,
            "componentType": component,
            "count": len(array),
            "type": kind,
        }
        self.accessors.append(accessor | more)
        self.parts.append(data)
        self.length += len(data)
        return len(self.accessors) - 1


def write_glb(path: str | Path, surface: Surface, *, lit: bool = False) -> None:
    """Write a surface, atomically.

    Args:
        path: of the new file.
        surface: a mesh, or points alone.
        lit: let the viewer's lamps shade it, for the shape to show without the photograph's light.

    Raises:
        WriteError: when the file cannot be written; it names it.
        ValueError: when it is larger than GLB can be, 4 GiB.
    """
    buffer = _Buffer()
    attributes, indices = _fill(buffer, surface)
    primitive: dict[str, Any] = {"attributes": attributes, "material": 0}
    primitive["mode"] = _POINTS if indices is None else _TRIANGLES
    if indices is not None:
        primitive["indices"] = indices
    text = json.dumps(_document(surface, buffer, primitive, lit=lit), separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % _ALIGNMENT)
    total = 12 + 8 + len(text) + 8 + buffer.length
    if total > _LARGEST:
        raise ValueError(f"{path}: a GLB holds 4 GiB at most, this surface needs {total / 2**30:.1f} GiB")
    header = struct.pack("<5I", _MAGIC, _VERSION, total, len(text), _JSON_CHUNK)
    binary = struct.pack("<2I", buffer.length, _BINARY_CHUNK)
    write_whole(Path(path), [header, text, binary, *buffer.parts])


def _fill(buffer: _Buffer, surface: Surface) -> tuple[dict[str, int], int | None]:
    """Put the arrays into the buffer; the accessors of the attributes, and that of the indices if there are triangles."""
    points = np.asarray(surface.points.astype(np.float64) * surface.metres, "<f4")
    bounds = {"min": points.min(axis=0).tolist(), "max": points.max(axis=0).tolist()}
    attributes = {"POSITION": buffer.add(points, "VEC3", _FLOAT, _VERTICES, **bounds)}
    if surface.normals is not None:
        attributes["NORMAL"] = buffer.add(np.asarray(surface.normals, "<f4"), "VEC3", _FLOAT, _VERTICES)
    # Four channels, since every element has to begin at a multiple of 4 bytes.
    colours = np.full((len(points), 4), 65535, "<u2")
    colours[:, :3] = np.rint(_linear(surface.colours) * 65535)
    attributes["COLOR_0"] = buffer.add(colours, "VEC4", _UNSIGNED_SHORT, _VERTICES, normalized=True)
    if len(surface.triangles) == 0:
        return attributes, None
    corners = surface.triangles.reshape(-1)
    if len(points) < 65535:
        return attributes, buffer.add(corners.astype("<u2"), "SCALAR", _UNSIGNED_SHORT, _INDICES)
    return attributes, buffer.add(corners.astype("<u4"), "SCALAR", _UNSIGNED_INT, _INDICES)


def _document(surface: Surface, buffer: _Buffer, primitive: dict[str, Any], *, lit: bool) -> dict[str, Any]:
    material: dict[str, Any] = {
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9},
        "doubleSided": True,
    }
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "stackcore", "extras": {"source": surface.note}},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "stack"}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [material],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": buffer.length}],
    }
    if not lit:
        material["extensions"] = {"KHR_materials_unlit": {}}
        document["extensionsUsed"] = ["KHR_materials_unlit"]
    return document


def _linear(encoded: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Light of sRGB values 0..1 (IEC 61966-2-1)."""
    value = np.clip(encoded, 0, 1)
    low = value / np.float32(12.92)
    high = ((value + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(value <= np.float32(0.04045), low, high).astype(np.float32)
