"""The kernel's DMA heap, as picamera2 speaks to it: memory of which there is only so much. Stands in for `picamera2.dma_heap`."""

import ctypes
import errno
import os

from libcamera.stage import SCRIPT, called

DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW = 1, 2, 3
DMA_BUF_SYNC_START, DMA_BUF_SYNC_END = 0, 4
DMA_BUF_IOCTL_SYNC = 0x5451
"""FIOCLEX: does no harm to any file."""


class dma_buf_sync(ctypes.Structure):  # noqa: N801  (picamera2's name)
    _fields_ = [("flags", ctypes.c_uint64)]


class UniqueFD:
    def __init__(self, fd):
        self._fd = fd

    def get(self):
        return self._fd

    def isValid(self):
        return self._fd >= 0


given = []
"""Descriptor and bytes of all memory in use."""


class DmaHeap:
    def alloc(self, name, size):
        called("alloc")
        given[:] = [(fd, taken) for fd, taken in given if _open(fd)]
        if sum(taken for _, taken in given) + size > SCRIPT["cma_bytes"]:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        fd = os.memfd_create(name)
        os.ftruncate(fd, size)
        given.append((fd, size))
        return UniqueFD(fd)

    def close(self):
        pass


def _open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
