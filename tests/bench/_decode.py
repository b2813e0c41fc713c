"""Decode JPEG files to RGB and do nothing with them: the floor that a whole run is measured against. One thread."""

import sys
from pathlib import Path

import simplejpeg

for name in sys.argv[1:]:
    simplejpeg.decode_jpeg(Path(name).read_bytes(), "RGB")
