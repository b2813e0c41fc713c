"""The drawing of a made-up circuit board: masks of copper, bare pads, print and holes, from a seed, at any size."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.sim.scenes.painter import Painter

Point = tuple[float, float]
_FRACTION_BITS = 4

COPPER, PAD, PRINT, HOLE = range(4)


class Board:
    """Draws in scene units, origin in the middle of the picture, onto four masks (4, rows, columns) uint8."""

    def __init__(self, painter: Painter, seed: int) -> None:
        self.masks: NDArray[np.uint8] = np.zeros((4, painter.rows, painter.columns), np.uint8)
        self._left, self._top, self._pixel = (float(v) for v in painter.frame[:3])
        self._random = np.random.default_rng(seed)
        self._part = 0

    def draw(self) -> NDArray[np.uint8]:
        """Buses first, then parts in a jittered grid over them."""
        for _ in range(16):
            self._bus()
        columns, rows = 6, 6
        for row in range(rows):
            for column in range(columns):
                x = (column + 0.5) / columns * 1.2 - 0.6 + 0.02 * self._random.standard_normal()
                y = (row + 0.5) / rows * 0.95 - 0.475 + 0.015 * self._random.standard_normal()
                (self._chip, self._square, self._resistors, self._header, self._resistors)[
                    int(self._random.integers(5))
                ](x, y)
        return self.masks

    # Primitives.

    def _at(self, p: Point) -> tuple[int, int]:
        scale = 1 << _FRACTION_BITS
        return round((p[0] - self._left) / self._pixel * scale), round(
            (p[1] - self._top) / self._pixel * scale
        )

    def _thick(self, width: float) -> int:
        return max(1, round(width / self._pixel))

    def _line(self, mask: int, points: list[Point], width: float) -> None:
        path = np.array([self._at(p) for p in points], np.int32)
        cv2.polylines(self.masks[mask], [path], False, 255, self._thick(width), cv2.LINE_AA, _FRACTION_BITS)

    def _disc(self, mask: int, centre: Point, radius: float, value: int = 255) -> None:
        size = max(1, round(radius / self._pixel * (1 << _FRACTION_BITS)))
        cv2.circle(self.masks[mask], self._at(centre), size, value, -1, cv2.LINE_AA, _FRACTION_BITS)

    def _box(self, mask: int, centre: Point, half: Point, value: int = 255) -> None:
        corners = [
            self._at((centre[0] + a * half[0], centre[1] + b * half[1]))
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        cv2.fillConvexPoly(self.masks[mask], np.array(corners, np.int32), value, cv2.LINE_AA, _FRACTION_BITS)

    def _text(self, text: str, at: Point, size: float) -> None:
        scale = size / self._pixel / 22.0
        x, y = self._at(at)
        place = (x >> _FRACTION_BITS, y >> _FRACTION_BITS)
        cv2.putText(
            self.masks[PRINT],
            text,
            place,
            cv2.FONT_HERSHEY_SIMPLEX,
            scale,
            255,
            self._thick(0.0022),
            cv2.LINE_AA,
        )

    def _via(self, at: Point) -> None:
        self._disc(COPPER, at, 0.0072)
        self._disc(PAD, at, 0.0058)
        self._disc(HOLE, at, 0.0028)

    def _clear(self, centre: Point, half: Point) -> None:
        for mask in range(4):
            self._box(mask, centre, half, 0)

    def _name(self, letter: str, at: Point) -> None:
        self._part += 1
        self._text(f"{letter}{self._part}", at, 0.016)

    # Copper that leads somewhere.

    def _bus(self) -> None:
        """Parallel traces with 45 degree bends."""
        count, pitch = int(self._random.integers(3, 9)), 0.0085
        x, y = self._random.uniform(-0.6, 0.6), self._random.uniform(-0.45, 0.45)
        angle = math.pi / 4 * int(self._random.integers(8))
        path, turns = [(x, y)], [angle]
        for _ in range(5):
            length = self._random.uniform(0.08, 0.30)
            x, y = x + length * math.cos(angle), y + length * math.sin(angle)
            path.append((x, y))
            angle += math.pi / 4 * (1 if self._random.random() < 0.5 else -1)
            turns.append(angle)
        for k in range(count):
            offset = (k - 0.5 * (count - 1)) * pitch
            line = []
            for n, (px, py) in enumerate(path):
                bend = 0.5 * (turns[max(n - 1, 0)] + turns[min(n, len(turns) - 2)])
                reach = offset / math.cos(0.5 * (turns[max(n - 1, 0)] - turns[min(n, len(turns) - 2)]))
                line.append((px - reach * math.sin(bend), py + reach * math.cos(bend)))
            self._line(COPPER, line, 0.0042)
            self._via(line[0])
            self._via(line[-1])

    def _lead(self, at: Point, direction: Point) -> None:
        """From a pad outward, one bend, a via."""
        if self._random.random() < 0.15:
            return
        a, b = self._random.uniform(0.014, 0.034), self._random.uniform(0.0, 0.030)
        sign = 1 if self._random.random() < 0.5 else -1
        middle = (at[0] + a * direction[0], at[1] + a * direction[1])
        end = (
            middle[0] + b * (direction[0] - sign * direction[1]),
            middle[1] + b * (direction[1] + sign * direction[0]),
        )
        self._line(COPPER, [at, middle, end], 0.0042)
        self._via(end)

    # Parts.

    def _pad(self, centre: Point, half: Point) -> None:
        self._box(COPPER, centre, (half[0] + 0.0015, half[1] + 0.0015))
        self._box(PAD, centre, half)

    def _chip(self, x: float, y: float) -> None:
        pins = int(self._random.integers(4, 8))
        half_w = 0.013 * pins / 2
        self._clear((x, y), (half_w + 0.006, 0.052))
        for k in range(pins):
            px = x + (k - 0.5 * (pins - 1)) * 0.0135
            for sign in (-1.0, 1.0):
                self._lead((px, y + sign * 0.040), (0.0, sign))
                self._pad((px, y + sign * 0.036), (0.0042, 0.0105))
        outline = [(-half_w, -0.019), (half_w, -0.019), (half_w, 0.019), (-half_w, 0.019), (-half_w, -0.019)]
        self._line(PRINT, [(x + a, y + b) for a, b in outline], 0.0022)
        self._disc(PRINT, (x - half_w + 0.009, y + 0.010), 0.0036)
        self._name("U", (x - 0.6 * half_w, y + 0.006))

    def _square(self, x: float, y: float) -> None:
        self._clear((x, y), (0.058, 0.058))
        for k in range(9):
            offset = (k - 4) * 0.0088
            for dx, dy in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
                centre = (x + 0.046 * dx + offset * dy, y + 0.046 * dy + offset * dx)
                self._lead(centre, (dx, dy))
                self._pad(centre, (0.0085 if dx else 0.0027, 0.0027 if dx else 0.0085))
        self._pad((x, y), (0.019, 0.019))
        for a in (-1, 1):
            for b in (-1, 1):
                corner = [
                    (x + a * 0.033, y + b * 0.026),
                    (x + a * 0.033, y + b * 0.033),
                    (x + a * 0.026, y + b * 0.033),
                ]
                self._line(PRINT, corner, 0.0022)
        for n in range(9):
            self._disc(HOLE, (x + 0.011 * (n % 3 - 1), y + 0.011 * (n // 3 - 1)), 0.0020)

    def _resistors(self, x: float, y: float) -> None:
        count = int(self._random.integers(3, 6))
        upright = self._random.random() < 0.5
        for k in range(count):
            offset = (k - 0.5 * (count - 1)) * 0.030
            cx, cy = (x + offset, y) if upright else (x, y + offset)
            ux, uy = (0.0, 1.0) if upright else (1.0, 0.0)
            self._clear((cx, cy), (0.011 + 0.012 * ux, 0.011 + 0.012 * uy))
            for sign in (-1.0, 1.0):
                pad = (cx + sign * 0.0125 * ux, cy + sign * 0.0125 * uy)
                self._lead(pad, (sign * ux, sign * uy))
                self._pad(pad, (0.0058 + 0.002 * uy, 0.0058 + 0.002 * ux))
            for side in (-1.0, 1.0):
                ends = [
                    (cx + side * 0.011 * uy + s * 0.008 * ux, cy + side * 0.011 * ux + s * 0.008 * uy)
                    for s in (-1, 1)
                ]
                self._line(PRINT, ends, 0.0022)
        self._name("RC"[int(upright)], (x - 0.02, y - 0.038 if upright else y - 0.016 * count - 0.006))

    def _header(self, x: float, y: float) -> None:
        pins = int(self._random.integers(4, 7))
        for k in range(pins):
            for row in (-0.5, 0.5):
                at = (x + (k - 0.5 * (pins - 1)) * 0.026, y + row * 0.026)
                self._disc(COPPER, at, 0.0112)
                self._disc(PAD, at, 0.0098)
                self._disc(HOLE, at, 0.0055)
        w = 0.013 * pins + 0.004
        outline = [(-w, -0.029), (w, -0.029), (w, 0.029), (-w, 0.029), (-w, -0.029)]
        self._line(PRINT, [(x + a, y + b) for a, b in outline], 0.0022)
        self._name("J", (x - w, y - 0.034))
