"""`stackcore compare`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackcore.cli.exits import Exit
from stackcore.cli.failures import Stopped

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stackcore.compare import Comparison

    Floats = npt.NDArray[np.float32]


def compare(options: argparse.Namespace) -> int:
    """`stackcore compare`."""
    if options.depth_result is not None and options.depth is None:
        raise Stopped(Exit.USAGE, "--depth-result needs the true one: --depth")
    found = held(
        Path(options.a),
        Path(options.b),
        depth=options.depth,
        depth_result=options.depth_result,
        depth_scale=options.depth_scale,
        registered=options.no_register,
    )
    if options.json:
        print(json.dumps({"ok": True, **found.to_dict()}, indent=2))
    else:
        for line in lines(found):
            print(line)
    return Exit.DONE


def held(
    result: Path,
    truth: Path,
    *,
    depth: str | None = None,
    depth_result: str | None = None,
    depth_scale: float = 2000.0,
    registered: bool = False,
) -> Comparison:
    """Hold a picture against another. Raises `Stopped`, `StackError`."""
    from stackcore.compare import CompareError
    from stackcore.compare import compare as compare_pictures
    from stackcore.files import read_frame

    true_depth, true_unit = _depth(depth, depth_scale)
    result_depth, unit = _depth(depth_result, depth_scale)
    if unit and true_unit and unit != true_unit:
        raise Stopped(
            Exit.INPUT, f"{depth_result} is in {unit}, {depth} in {true_unit}: give both in one unit"
        )
    try:
        return compare_pictures(
            read_frame(truth).pixels,
            read_frame(result).pixels,
            reference_depth=true_depth,
            result_depth=result_depth,
            registered=registered,
        )
    except CompareError as error:
        raise Stopped(Exit.INPUT, f"{result} and {truth}: {error}") from error


def lines(found: Comparison) -> list[str]:
    """For people."""
    shift = f"{found.shift_px[0]:.2f}, {found.shift_px[1]:.2f} px"
    lies = f"scaled {found.scale:.5f}, turned {found.rotation_deg:.3f} deg, shifted {shift}"
    said = [
        f"PSNR        {found.psnr_fitted_db:.2f} dB, brightness fitted; {found.psnr_db:.2f} dB as it is",
        f"SSIM        {found.ssim:.4f}",
        f"sharpness   {found.sharpness:.3f} of the reference's",
        f"lies        {lies}; {found.covered_share:.0%} compared",
    ]
    if found.near_jumps_db is not None and found.elsewhere_db is not None:
        said.append(
            f"at jumps    {found.near_jumps_db:.2f} dB near depth jumps, {found.elsewhere_db:.2f} dB elsewhere"
        )
    if found.depth is not None:
        depth = found.depth
        said.append(
            f"depth       median error {depth.median:.3f}, mean {depth.mae:.3f}, RMSE {depth.rmse:.3f}; "
            f"{depth.within_1:.1%} within 1; {depth.known_share:.1%} known"
        )
    return said


def _depth(path: str | None, scale: float) -> tuple[Floats | None, str]:
    """A depth map and its unit, where the file says one."""
    if path is None:
        return None, ""
    import numpy as np

    if Path(path).suffix.lower() in {".tif", ".tiff"}:
        return _float_tiff(Path(path))
    from stackcore.files import read_frame

    pixels = read_frame(path).pixels
    if pixels.ndim != 2:
        raise Stopped(
            Exit.INPUT, f"{path} is in colour, not a depth map; give a gray 16-bit .png, or a float .tif"
        )
    return np.asarray(pixels / np.float32(scale), np.float32), ""


def _float_tiff(path: Path) -> tuple[Floats, str]:
    import numpy as np
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            values: Any = file.pages[0].asarray()
            unit = _unit(getattr(file.pages[0], "description", ""))
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise Stopped(Exit.INPUT, f"{path}: cannot be read as a depth map ({error})") from error
    if values.ndim != 2:
        raise Stopped(Exit.INPUT, f"{path} is no depth map: {values.shape} values")
    return np.asarray(values, np.float32), unit


def _unit(description: str) -> str:
    try:
        return str(json.loads(description).get("unit", ""))
    except (ValueError, AttributeError):
        return ""
