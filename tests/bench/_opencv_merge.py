"""The same merge written with OpenCV's calls, as well as it goes: the reference that the kernel's speed is measured against.

Same steps, same outputs: luma, squared modified Laplacian, box pooling, the sharpest so far with its number and its picture, and
the scores of the frames before and after it. Buffers are reused, and what OpenCV can do in place is done in place.
"""

from __future__ import annotations

import cv2
import numpy as np

ACROSS = np.array([[-1, 2, -1]], np.float32)


class OpenCvMerger:
    def __init__(self, height: int, width: int, radius: int) -> None:
        self.picture = np.full((height, width, 3), 0, np.uint8)
        self.best, self.before, self.after, self.score, self.previous = (
            np.full((height, width), 0, np.float32) for _ in range(5)
        )
        self.frame = np.full((height, width), 0, np.uint16)
        self._gray = np.empty((height, width), np.uint8)
        self._across, self._down = (np.empty((height, width), np.int16) for _ in range(2))
        self._waiting, self._sharper = (np.full((height, width), 0, np.uint8) for _ in range(2))
        self._zeros = np.full((height, width), 0, np.float32)
        self._number = np.empty((height, width), np.uint16)
        self._window = (2 * radius + 1, 2 * radius + 1)
        self._frames = 0

    def add(self, frame: np.ndarray) -> None:
        gray, across, down, score = self._gray, self._across, self._down, self.score
        cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY, dst=gray)
        cv2.filter2D(gray, cv2.CV_16S, ACROSS, dst=across, borderType=cv2.BORDER_REPLICATE)
        cv2.filter2D(gray, cv2.CV_16S, ACROSS.T, dst=down, borderType=cv2.BORDER_REPLICATE)
        cv2.absdiff(across, 0.0, dst=across)
        cv2.absdiff(down, 0.0, dst=down)
        cv2.add(across, down, dst=across)
        cv2.multiply(across, across, dst=score, dtype=cv2.CV_32F)
        cv2.boxFilter(
            score, cv2.CV_32F, self._window, dst=score, normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        cv2.compare(score, self.best, cv2.CMP_GT, dst=self._sharper)
        if self._frames == 0:
            np.copyto(self.picture, frame)
        else:
            cv2.copyTo(score, self._waiting, self.after)
        sharper = self._sharper
        cv2.copyTo(self._zeros, sharper, self.after)
        cv2.copyTo(self.previous, sharper, self.before)
        cv2.copyTo(score, sharper, self.best)
        cv2.copyTo(frame, sharper, self.picture)
        self._number[:] = self._frames
        cv2.copyTo(self._number, sharper, self.frame)
        self._waiting, self._sharper = sharper, self._waiting
        self.previous, self.score = score, self.previous
        self._frames += 1
