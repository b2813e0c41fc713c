"""The values of libcamera's Python bindings: sizes, formats, colours, controls, and what a camera is configured with."""

import enum
from types import SimpleNamespace


class Size:
    def __init__(self, width=0, height=0):
        self.width, self.height = width, height

    def __repr__(self):
        return f"{self.width}x{self.height}"


class Rectangle:
    def __init__(self, x=0, y=0, width=0, height=0):
        self.x, self.y, self.width, self.height = x, y, width, height

    def __repr__(self):
        return f"({self.x}, {self.y})/{self.width}x{self.height}"


class PixelFormat:
    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name

    def __eq__(self, other):
        return str(self) == str(other)

    def __hash__(self):
        return hash(self.name)


class Transform:
    def __init__(self, hflip=0, vflip=0, transpose=0):
        self.hflip, self.vflip, self.transpose = bool(hflip), bool(vflip), bool(transpose)

    def __str__(self):
        return f"hflip {self.hflip}, vflip {self.vflip}, transpose {self.transpose}"

    __repr__ = __str__

    def __hash__(self):
        return hash((self.hflip, self.vflip, self.transpose))

    def __eq__(self, other):
        return hash(self) == hash(other)


class Orientation(enum.Enum):
    Rotate0, Rotate0Mirror, Rotate180, Rotate180Mirror = range(1, 5)
    Rotate90Mirror, Rotate270, Rotate270Mirror, Rotate90 = range(5, 9)


class ColorSpace:
    YcbcrEncoding = SimpleNamespace(Null=0, Rec601=1, Rec709=2)
    Range = SimpleNamespace(Full=0, Limited=1)

    def __init__(self, other=None, primaries=0, transfer=0, encoding=0, reach=0):
        if other is not None:
            primaries, transfer = other.primaries, other.transferFunction
            encoding, reach = other.ycbcrEncoding, other.range
        self.primaries, self.transferFunction = primaries, transfer
        self.ycbcrEncoding, self.range = encoding, reach

    @staticmethod
    def Sycc():
        return ColorSpace(None, 2, 2, 1, 0)

    @staticmethod
    def Smpte170m():
        return ColorSpace(None, 1, 3, 1, 1)

    @staticmethod
    def Rec709():
        return ColorSpace(None, 2, 3, 2, 1)

    @staticmethod
    def Raw():
        return ColorSpace()

    def __str__(self):
        return f"{self.primaries}/{self.transferFunction}/{self.ycbcrEncoding}/{self.range}"

    __repr__ = __str__

    def __hash__(self):
        return hash((self.primaries, self.transferFunction))


class StreamRole(enum.Enum):
    Raw, StillCapture, VideoRecording, Viewfinder = range(4)


class ControlType(enum.Enum):
    Null, Bool, Byte, Integer32, Integer64, Float, String, Rectangle, Size = range(9)


class ControlId:
    def __init__(self, number, name, kind):
        self.id, self.name, self.type = number, name, kind

    def __repr__(self):
        return f"libcamera.ControlId({self.id}, {self.name})"


class ControlInfo:
    def __init__(self, low, high, default):
        self.min, self.max, self.default = low, high, default


_KINDS = {
    "AeEnable": ControlType.Bool,
    "ExposureTimeMode": ControlType.Integer32,
    "ExposureTime": ControlType.Integer32,
    "AnalogueGainMode": ControlType.Integer32,
    "AnalogueGain": ControlType.Float,
    "DigitalGain": ControlType.Float,
    "AwbEnable": ControlType.Bool,
    "ColourGains": ControlType.Float,
    "FrameDurationLimits": ControlType.Integer64,
    "FrameDuration": ControlType.Integer64,
    "SensorTimestamp": ControlType.Integer64,
    "SensorBlackLevels": ControlType.Integer32,
    "ColourCorrectionMatrix": ControlType.Float,
    "ScalerCrop": ControlType.Rectangle,
    "AfMode": ControlType.Integer32,
    "LensPosition": ControlType.Float,
    "HdrMode": ControlType.Integer32,
    "NoiseReductionMode": ControlType.Integer32,
    "Sharpness": ControlType.Float,
}
BY_NAME = {name: ControlId(number, name, kind) for number, (name, kind) in enumerate(_KINDS.items(), 1)}

controls = SimpleNamespace(**BY_NAME)
controls.draft = SimpleNamespace(
    NoiseReductionModeEnum=SimpleNamespace(Off=0, Fast=1, HighQuality=2, Minimal=3, ZSL=4)
)
properties = SimpleNamespace(draft=SimpleNamespace(ColorFilterArrangementEnum=SimpleNamespace(MONO=4)))


class Stream:
    def __init__(self, configuration):
        self.configuration = configuration


class StreamConfiguration:
    def __init__(self, name, width, height, choices):
        self.pixel_format, self.size = PixelFormat(name), Size(width, height)
        self.buffer_count, self.stride, self.color_space = 4, 0, None
        self.formats = SimpleNamespace(
            pixel_formats=[PixelFormat(name) for name, _ in choices],
            sizes=lambda wanted: [Size(*size) for name, size in choices if name == str(wanted)],
        )
        self.stream = Stream(self)

    @property
    def frame_size(self):
        rows = self.size.height * 3 // 2 if str(self.pixel_format) == "YUV420" else self.size.height
        return rows * self.stride


class SensorConfiguration:
    def __init__(self):
        self.bit_depth, self.output_size = 0, Size()


class CameraConfiguration:
    Status = enum.Enum("Status", "Valid Adjusted Invalid")

    def __init__(self, streams, validating):
        self._streams, self._validating = streams, validating
        self.orientation, self.sensor_config = Orientation.Rotate0, None

    @property
    def size(self):
        return len(self._streams)

    def __iter__(self):
        return iter(self._streams)

    def at(self, index):
        return self._streams[index]

    def validate(self):
        return self._validating(self)


class _Plane:
    def __init__(self):
        self.fd, self.offset, self.length = -1, 0, 0


class FrameMetadata:
    Status = enum.Enum("Status", "Success Error Cancelled Startup")


class FrameBuffer:
    Plane = _Plane

    def __init__(self, planes, cookie=0):
        self.planes, self.cookie = planes, cookie
        self.metadata = SimpleNamespace(
            status=FrameMetadata.Status.Success, sequence=0, timestamp=0, planes=[]
        )


class Request:
    Status = enum.Enum("Status", "Pending Complete Cancelled")

    def __init__(self, cookie):
        self.cookie, self.buffers, self.controls = cookie, {}, {}
        self.metadata, self.sequence, self.status = {}, 0, Request.Status.Pending

    def add_buffer(self, stream, buffer):
        self.buffers[stream] = buffer

    def set_control(self, control, value):
        self.controls[control] = value

    def reuse(self):
        self.controls, self.metadata, self.status = {}, {}, Request.Status.Pending
