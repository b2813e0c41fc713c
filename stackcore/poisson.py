"""Pictures from gradients: the screened Poisson equation by cosine transforms.

Sought is the picture u for which the sum of (gradient of u - g)^2 + screening (u - c)^2 is least: its gradients are like the wanted
ones g, and it does not drift from the colours c. Gradient domain blending after Perez, Gangnet and Blake, "Poisson Image Editing"
(SIGGRAPH 2003); the screening after Bhat, Curless, Cohen and Zitnick, "Fourier Analysis of the 2D Screened Poisson Equation for
Gradient Domain Problems" (ECCV 2008). No gradient crosses the border (Neumann), and so the cosine transform makes the equation
diagonal: Strang, "The Discrete Cosine Transform" (SIAM Review 41, 1999).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class MissingTransform(ImportError):
    """The library of the cosine transform is not installed."""


def screened_poisson(
    colours: Floats, across: Floats, down: Floats, screening: float, *, workers: int = 1
) -> Floats:
    """The picture with the wanted gradients, held to the colours.

    Args:
        colours: (H, W) one channel.
        across: (H, W - 1) wanted difference of each pixel's right neighbour to it.
        down: (H - 1, W) wanted difference of its lower neighbour to it.
        screening: 0 or more, 1 / px^2. Colours are kept over lengths of more than 1 / sqrt(screening) px; with 0 only their mean.
        workers: threads of the transform.

    Returns:
        (H, W) float32.

    Raises:
        ValueError: when shapes do not fit or `screening` is negative.
        MissingTransform: SciPy is not installed.
    """
    if across.shape != colours[:, 1:].shape or down.shape != colours[1:].shape:
        raise ValueError(
            f"gradients of {across.shape} and {down.shape} do not fit a channel of {colours.shape} px"
        )
    excess = np.zeros(colours.shape, np.float32)
    add_divergence(excess, across - np.diff(colours, axis=1), down - np.diff(colours, axis=0))
    return np.asarray(colours + solve(excess, screening, workers=workers), np.float32)


def add_divergence(excess: Floats, across: Floats, down: Floats) -> None:
    """Add to `excess`, (H, W), what the gradients `across` and `down` bring to each pixel: the adjoint of differences."""
    excess[:, 1:] += across
    excess[:, :-1] -= across
    excess[1:] += down
    excess[:-1] -= down


def solve(excess: Floats, screening: float, *, workers: int = 1) -> Floats:
    """Solve (screening - Laplacian) u = excess with no gradient across the border; `excess` is overwritten.

    Args:
        excess: (H, W) float32.
        screening: 0 or more, 1 / px^2; with 0 the solution of mean 0 is given.
        workers: threads of the transform.

    Raises:
        ValueError: when `screening` is negative.
        MissingTransform: SciPy is not installed.
    """
    if screening < 0:
        raise ValueError(f"screening {screening} is negative")
    fft = transforms()
    height, width = excess.shape
    spectrum = fft.dctn(excess, norm="ortho", workers=workers, overwrite_x=True)
    down = (screening + _eigenvalues(height)).astype(np.float32)
    across = _eigenvalues(width).astype(np.float32)
    if screening == 0:
        spectrum[0, 0] = 0
        down[0] = np.finfo(np.float32).tiny
    # By rows: the sum of the eigenvalues would be another picture in memory.
    for k, value in enumerate(down):
        spectrum[k] /= value + across
    return np.asarray(fft.idctn(spectrum, norm="ortho", workers=workers, overwrite_x=True), np.float32)


def transforms() -> Any:
    """SciPy's transforms, imported when they are first needed. Raises `MissingTransform` when it is not installed."""
    try:
        from scipy import fft  # noqa: PLC0415
    except ImportError as error:
        raise MissingTransform(
            "the Poisson equation is solved with SciPy, which is not installed: pip install rigd[labels]"
        ) from error
    return fft


def _eigenvalues(size: int) -> npt.NDArray[np.float64]:
    """Of the negative second difference with mirrored ends."""
    return np.asarray(2 - 2 * np.cos(np.pi * np.arange(size) / size), np.float64)
