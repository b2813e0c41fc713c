"""Run z-stackr's tiled pipeline: `OUT.tif MODE ALIGN(0|1) FRAMES...`. Runs in z-stackr's own environment."""

import sys

import zstackr

out, mode, align, *paths = sys.argv[1:]
settings = zstackr.PyStackingSettings(
    alignment_mode="Registration" if align == "1" else "None",
    correct_brightness=align == "1",
    crop_to_common_area=False,
    image_saving=zstackr.PyImageSavingSettings(output_format="TIFF", bit_depth=8),
)
zstackr.stack_files(zstackr.PyPipelineParams(paths=paths, output_file=out, mode=mode), settings)
