"""Files to frames and pictures to files: formats, metadata, sources of frames, decoding ahead, whole outputs.

Libraries for TIFF and camera RAW are loaded when such a file is read: a stack of JPEGs does not pay for them.
"""

from stackcore.files.ahead import Ahead, ahead
from stackcore.files.errors import FrameError, StackError, Unreadable, WriteError
from stackcore.files.frame import Cells, Frame, Kind, Metadata, Pixels
from stackcore.files.opening import open_source, pictures_in
from stackcore.files.pushed import Pushed
from stackcore.files.read import FORMAT_OF_SUFFIX, decode_frame, read_frame
from stackcore.files.session import Session, is_session
from stackcore.files.source import Arrays, Files, Source
from stackcore.files.survey import natural_key
from stackcore.files.write import OUTPUT_SUFFIXES, check_output, software, write_picture, write_whole

__all__ = [
    "FORMAT_OF_SUFFIX",
    "OUTPUT_SUFFIXES",
    "Ahead",
    "Arrays",
    "Cells",
    "Files",
    "Frame",
    "FrameError",
    "Kind",
    "Metadata",
    "Pixels",
    "Pushed",
    "Session",
    "Source",
    "StackError",
    "Unreadable",
    "WriteError",
    "ahead",
    "check_output",
    "decode_frame",
    "is_session",
    "natural_key",
    "open_source",
    "pictures_in",
    "read_frame",
    "software",
    "write_picture",
    "write_whole",
]
