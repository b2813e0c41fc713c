"""Which methods there are, what each is for, and what may be set: plain data, so that `--help` and a config's check load no arrays.

`stackcore.methods.registry` makes the methods; a test holds every declaration here against the class it speaks of.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass

Value = bool | int | float | str

DEFAULT = "unveil"

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


class UnknownMethod(ValueError):
    """There is no method of this name."""

    def __init__(self, name: str) -> None:
        close = difflib.get_close_matches(name, METHODS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        super().__init__(f"no method {name!r}{hint} There are: {', '.join(METHODS)}")
        self.name = name


class BadOption(ValueError):
    """A method has no such option, or it cannot have this value. Says which option of which method, and what is allowed."""

    def __init__(self, method: str, option: str, why: str) -> None:
        super().__init__(f"option {option!r} of method {method!r}: {why}")
        self.method = method
        self.option = option
        self.why = why


@dataclass(frozen=True, slots=True)
class Option:
    """Something that may be set on a method.

    Attributes:
        name: as the method's class takes it.
        kind: `bool`, `int`, `float` or `str`.
        default: what it is when nothing is said.
        meaning: one line.
        low: the least it may be.
        high: the most it may be.
        choices: the words or numbers it may be; for `str` there have to be some.
    """

    name: str
    kind: type[Value]
    default: Value
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[Value, ...] = ()

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        if self.kind is bool:
            return "true or false"
        words = "a whole number" if self.kind is int else "a number"
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f"{words} from {self.low:g} to {self.high:g}"
        if math.isfinite(self.low):
            return f"{words}, {self.low:g} or more"
        return f"{words}, {self.high:g} or less" if math.isfinite(self.high) else words

    def value_of(self, method: str, given: object) -> Value:
        """The value as the method wants it; text is read. Raises `BadOption` when it is not allowed."""
        value = self._read(given)
        if value is None:
            raise BadOption(method, self.name, f"{given!r} is not allowed; it is {self.allowed}")
        return value

    def _read(self, given: object) -> Value | None:
        if self.kind is bool:
            return _truth(given)
        if self.kind is str:
            return given if isinstance(given, str) and given in self.choices else None
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            return None
        try:
            number = float(given)
        except ValueError:
            return None
        if not self.low <= number <= self.high or not math.isfinite(number):
            return None
        if self.choices and number not in self.choices:
            return None
        if self.kind is int:
            return int(number) if number.is_integer() else None
        return number


@dataclass(frozen=True, slots=True)
class Entry:
    """One method.

    Attributes:
        name: what users call it.
        target: `module:class`.
        summary: one line.
        options: what may be set.
        extra: the optional dependencies it needs, as `pip install 'rigd[extra]'` knows them.
        depth: whether it knows the depth of what it fuses.
    """

    name: str
    target: str
    summary: str
    options: tuple[Option, ...] = ()
    extra: str = ""
    depth: bool = True

    def values(self, given: Mapping[str, object]) -> dict[str, Value]:
        """The given options, read and checked. Raises `BadOption` for one that there is not or that is not allowed."""
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                raise BadOption(self.name, name, f"there is none{_hint(name, known)}")
        return {name: known[name].value_of(self.name, value) for name, value in given.items()}


def find(name: str) -> Entry:
    """The method of this name. Raises `UnknownMethod`."""
    try:
        return METHODS[name]
    except KeyError:
        raise UnknownMethod(name) from None


def option_names() -> dict[str, list[tuple[Entry, Option]]]:
    """Every option's name with the methods that have it, in the order of the catalogue."""
    found: dict[str, list[tuple[Entry, Option]]] = {}
    for entry in METHODS.values():
        for option in entry.options:
            found.setdefault(option.name, []).append((entry, option))
    return found


def _truth(given: object) -> bool | None:
    if isinstance(given, bool):
        return given
    word = str(given).lower()
    return True if word in _TRUE else False if word in _FALSE else None


def _hint(name: str, known: Mapping[str, Option]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; it has {', '.join(known)}" if known else "; it has no options"


_MEASURES = ("sml", "laplacian2", "tenengrad", "variance", "harris")

_MEMORY = Option(
    "memory_mb", int, 256, "what the focus of all frames may take; cells grow to stay within", 16, 65536
)

_ENTRIES = (
    Entry(
        "unveil",
        "stackcore.methods.unveil:Unveil",
        "blended along the depth, the blur of near things taken off what lies behind them; two passes, for nearly everything",
        (
            Option("unveil", bool, True, "take the blur of nearer things off what lies behind them"),
            Option(
                "near",
                str,
                "auto",
                "which frames focus nearer; auto finds out from the pictures",
                choices=("auto", "first", "last"),
            ),
        ),
    ),
    Entry(
        "pyramid",
        "stackcore.methods.pyramid:Pyramid",
        "Laplacian pyramid in one pass; for frames that come by only once",
        (
            Option("levels", int, 6, "of differences; fewer where the frames are small", 1, 10),
            Option(
                "coring",
                float,
                0.5,
                "how many times the energy of noise is taken off; 0 leaves grain as it is",
                0,
                4,
            ),
        ),
        depth=False,
    ),
    Entry(
        "weighted",
        "stackcore.methods.weighted:Weighted",
        "mean of all frames, each pixel weighted by its focus to the power of gamma; smooth, quick",
        (
            Option(
                "gamma", float, 4.0, "exponent of the focus energy; larger is closer to picking", 0.01, 64
            ),
            Option("measure", str, "sml", "what focus is measured by", choices=_MEASURES),
            Option("radius", int, 2, "of the window that energies are pooled over, px", 1, 5),
        ),
    ),
    Entry(
        "argmax",
        "stackcore.methods.argmax:Argmax",
        "each pixel from the frame in which it is sharpest; the quickest, and true to the pixel",
        (
            Option("measure", str, "sml", "what focus is measured by", choices=_MEASURES),
            Option("radius", int, 3, "of the window that energies are pooled over, px", 1, 5),
        ),
    ),
    Entry(
        "wavelet",
        "stackcore.methods.wavelet:Wavelet",
        "complex wavelets with consistency checks (Forster et al. 2004); two passes, for microscope stacks with fine structure",
        (Option("levels", int, 3, "how often the picture is halved", 1, 10),),
        depth=False,
    ),
    Entry(
        "labels",
        "stackcore.methods.labels:Labels",
        "regularised choice of frames by graph cut, blended by a screened Poisson equation; two passes, for tens of frames, slow",
        (
            Option(
                "seam",
                float,
                1.0,
                "what seams cost against focus; 0 takes the sharpest frame everywhere",
                0,
                100,
            ),
            Option(
                "screening",
                float,
                0.15,
                "how strongly the picture keeps to the frames' colours, 1/px^2",
                0,
                100,
            ),
            Option("sweeps", int, 1, "how often every frame gets its expansion move, at most", 0, 20),
            Option("cell_px", int, 2, "side of the cells that have one label, px", choices=(1, 2, 4, 8)),
            _MEMORY,
        ),
        extra="labels",
    ),
    Entry(
        "depth",
        "stackcore.methods.depth_slices:DepthSlices",
        "pick by the refined depth map, with feathered slices; two passes, the cleanest flat areas",
        (
            Option("refine", str, "sgm", "how the depth map is made consistent", choices=("sgm", "none")),
            Option(
                "feather", float, 1.0, "how much noise is averaged away; 0 always blends two frames", 0, 10
            ),
            Option(
                "cell_px",
                int,
                0,
                "side of the cells that depth is found on, px; 0: a usual size",
                choices=(0, 1, 2, 4, 8),
            ),
            _MEMORY,
        ),
    ),
)

METHODS: Mapping[str, Entry] = {entry.name: entry for entry in _ENTRIES}
