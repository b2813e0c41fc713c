"""picamera2 imports it for a preview on a screen, which nobody asks for."""

from unittest import mock

PixelFormat = mock.Mock()
