"""Strict readers of PLY and GLB, written from their specifications and not from what writes them."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_PLY = {"float": "<f4", "uchar": "u1", "int": "<i4"}
_COMPONENTS = {
    5120: ("i1", 1),
    5121: ("u1", 1),
    5122: ("<i2", 2),
    5123: ("<u2", 2),
    5125: ("<u4", 4),
    5126: ("<f4", 4),
}
_COUNTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def read_ply(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Vertices as a structured array, triangles (m, 3), comments. Asserts that nothing is left over or missing."""
    data = path.read_bytes()
    head, _, body = data.partition(b"end_header\n")
    lines = head.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    elements: list[tuple[str, int, list[list[str]]]] = []
    comments = []
    for line in lines[2:]:
        words = line.split()
        if words[0] == "comment":
            comments.append(line.removeprefix("comment "))
        elif words[0] == "element":
            elements.append((words[1], int(words[2]), []))
        else:
            assert words[0] == "property"
            elements[-1][2].append(words[1:])
    name, count, properties = elements[0]
    assert name == "vertex"
    kind = np.dtype([(words[1], _PLY[words[0]]) for words in properties])
    vertices = np.frombuffer(body, kind, count)
    rest = body[vertices.nbytes :]
    if len(elements) == 1:
        assert not rest
        return vertices, np.zeros((0, 3), int), comments
    name, count, properties = elements[1]
    assert (name, properties) == ("face", [["list", "uchar", "int", "vertex_indices"]])
    assert len(rest) == count * 13
    faces = []
    for k in range(count):
        sides, *corners = struct.unpack_from("<B3i", rest, 13 * k)
        assert sides == 3
        faces.append(corners)
    return vertices, np.array(faces), comments


@dataclass
class Gltf:
    """A GLB: its JSON, and the arrays of its one primitive as they would be drawn."""

    document: dict[str, Any]
    attributes: dict[str, np.ndarray]
    indices: np.ndarray | None
    mode: int


def read_glb(path: Path) -> Gltf:
    """Read one, asserting what the glTF 2.0 specification demands of containers, views and accessors."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    text_length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    assert text_length % 4 == 0
    text = data[20 : 20 + text_length]
    assert text[:1] == b"{", "no byte order mark, no padding before"
    document = json.loads(text.decode("utf-8"))
    start = 20 + text_length
    binary_length, kind = struct.unpack_from("<I4s", data, start)
    assert kind == b"BIN\0"
    assert binary_length % 4 == 0
    binary = data[start + 8 :]
    assert len(binary) == binary_length
    assert document["asset"]["version"] == "2.0"
    (buffer,) = document["buffers"]
    assert "uri" not in buffer
    assert 0 <= binary_length - buffer["byteLength"] < 4
    scene = document["scenes"][document["scene"]]
    (node,) = scene["nodes"]
    (primitive,) = document["meshes"][document["nodes"][node]["mesh"]]["primitives"]
    assert primitive["material"] < len(document["materials"])
    assert set(document.get("extensionsUsed", [])) == {
        name for material in document["materials"] for name in material.get("extensions", {})
    }
    attributes = {name: _accessor(document, binary, k, 34962) for name, k in primitive["attributes"].items()}
    assert len({len(array) for array in attributes.values()}) == 1
    used = sorted(
        [*primitive["attributes"].values(), *([primitive["indices"]] if "indices" in primitive else [])]
    )
    assert used == list(range(len(document["accessors"]))), "every accessor is used once"
    indices = None
    if "indices" in primitive:
        accessor = document["accessors"][primitive["indices"]]
        assert accessor["type"] == "SCALAR"
        assert accessor["componentType"] in {5121, 5123, 5125}
        indices = _accessor(document, binary, primitive["indices"], 34963)
        largest = np.iinfo(_COMPONENTS[accessor["componentType"]][0]).max
        assert indices.max() < min(largest, len(attributes["POSITION"])), (
            "the largest value restarts primitives"
        )
    position = document["accessors"][primitive["attributes"]["POSITION"]]
    assert (position["componentType"], position["type"]) == (5126, "VEC3")
    np.testing.assert_array_equal(np.float32(position["min"]), attributes["POSITION"].min(axis=0))
    np.testing.assert_array_equal(np.float32(position["max"]), attributes["POSITION"].max(axis=0))
    return Gltf(document, attributes, indices, primitive.get("mode", 4))


def _accessor(document: dict[str, Any], binary: bytes, number: int, target: int) -> np.ndarray:
    accessor = document["accessors"][number]
    view = document["bufferViews"][accessor["bufferView"]]
    kind, size = _COMPONENTS[accessor["componentType"]]
    per_element = _COUNTS[accessor["type"]]
    assert accessor["count"] >= 1
    assert view["buffer"] == 0
    assert view["target"] == target
    offset = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    assert offset % size == 0
    assert view.get("byteOffset", 0) % 4 == 0
    assert view["byteOffset"] + view["byteLength"] <= document["buffers"][0]["byteLength"]
    stride = view.get("byteStride", size * per_element)
    assert target == 34963 or stride % 4 == 0, "elements of vertex attributes begin at multiples of 4 bytes"
    assert accessor["count"] * stride <= view["byteLength"]
    array = np.frombuffer(binary, kind, accessor["count"] * per_element, offset)
    array = array.reshape(-1, per_element) if per_element > 1 else array
    if accessor.get("normalized"):
        assert accessor["componentType"] in {5121, 5123}
        return array / np.iinfo(kind).max
    return array
