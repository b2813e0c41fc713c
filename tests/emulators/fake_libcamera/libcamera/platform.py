"""Which Pi this is. Stands in for `picamera2.platform`, which asks the kernel."""

from enum import Enum

from libcamera.stage import SCRIPT


class Platform(Enum):
    VC4 = 0
    PISP = 1


def get_platform():
    return Platform[SCRIPT["platform"]]
