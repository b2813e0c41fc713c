"""Bytes of every kind, and JSON of every shape."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

MOST = 16 * 1024
"""Bytes of the longest payload that is read."""
ODD_NUMBERS = (
    0,
    -0.0,
    1,
    -1,
    0.1,
    15_000,
    15_000.01,
    20_000,
    1e7,
    1e7 + 1,
    1e308,
    5e-324,
    2**53,
    2**64,
    10**400,
)
ODD_TEXTS = (
    "",
    " ",
    *str.split("PRESS press null true estop"),
    "\0",
    "\ufeff",
    "\u202e",
    "x" * 64,
    "x" * 65,
    "é" * 64,
)
ODD_JSON = (
    *str.split(
        "NaN Infinity -Infinity nan 1e400 -1e400 1E5 +1 .5 1. 0x10 1_000 007 ١٢ --1 1e tru TRUE None undefined"
    ),
    *str.split(
        r""" " 'a' "\ud800" "\u0000" "\x" {,} [1,] {1:2} [] {} [[]] {}{} /**/{} {"":0} [1,2 {"a" {"a": {"a":1 \ """
    ),
    *("{} x", "\n", "\t{}\r\n", "9" * 300, "9" * 4299, "9" * 4301, "-" + "9" * 9000, "0." + "0" * 9000 + "1"),
)
BEGINNINGS = (b"\xef\xbb\xbf", b"\0", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80")
LONG = (
    *(
        (b"", b"x", b""),
        (b"", b" ", b"{}"),
        (b"{}", b"\n", b""),
        (b"", b"9", b""),
        (b'"', b"a", b'"'),
        (b"[", b"1,", b"1]"),
    ),
    *((b'{"', b"k", b'":1}'), (b'{"params":{"', b"k", b'":1}}'), (b'{"transaction":"', b"t", b'"}')),
    *((b'{"params":{"name":"', b"\xc3\xa9", b'"}}'), (b'{"not_after":"', b"2", b'"}')),
)
"""What stands before, what is repeated, and what stands behind."""
NESTED = (("[", "]"), ('{"a":', "}"), ('{"params":', "}"), ('[{"a":[', "]}]"))
DEPTHS = (10, 100, 127, 128, 199, 200, 201, 255, 256, 900, 1000, 2700, 5000)

numbers = st.one_of(
    st.integers(-20_000, 20_000),
    st.floats(-30_000, 30_000),
    st.floats(),
    st.integers(-(10**40), 10**40),
    st.sampled_from(ODD_NUMBERS),
)
texts = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(codec="ascii"), max_size=40),
    st.text(st.characters(), max_size=80),  # lone surrogates too
    st.sampled_from(ODD_TEXTS),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
tokens = st.sampled_from(ODD_JSON).map(str.encode)


def to_json(value: Any, *, escaped: bool = True, indent: int | None = None) -> bytes:
    """As JSON, with NaN where there is one; lone surrogates become bytes that are no UTF-8, unless escaped.

    Raises ValueError for an integer that has more digits than Python writes.
    """
    return json.dumps(value, ensure_ascii=escaped, indent=indent).encode("utf-8", "surrogatepass")


@st.composite
def _deep(draw: st.DrawFn) -> bytes:
    depth = draw(st.sampled_from(DEPTHS))
    opening, closing = draw(st.sampled_from(NESTED))
    inside = draw(st.sampled_from(["1", "", '"x"', "{}"]))
    closed = draw(st.sampled_from([depth, depth - 1, 0]))
    return (opening * depth + inside + closing * closed).encode()[: MOST + 10]


@st.composite
def _long(draw: st.DrawFn) -> bytes:
    """Near the longest that is read, on either side."""
    size = MOST + draw(st.sampled_from([-1, 0, 1, 2, 1000, 50_000]))
    head, filling, tail = draw(st.sampled_from(LONG))
    room = size - len(head) - len(tail)
    return head + (filling * room)[:room] + tail


raw = st.one_of(
    st.binary(max_size=60),
    tokens,
    texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.builds(to_json, anything, escaped=st.booleans()),
    _deep(),
    _long(),
    st.builds(bytes.__add__, st.sampled_from(BEGINNINGS), tokens),
)
"""Payloads of which nothing is known."""


@st.composite
def mutated(draw: st.DrawFn, raws: st.SearchStrategy[bytes]) -> bytes:
    """Bytes of which a few are changed, cut out, put in, or said twice."""
    data = draw(raws)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        upto = at + draw(st.integers(1, 8))
        match draw(st.sampled_from(["flip", "cut", "insert", "twice", "end", "swap"])):
            case "flip" if data:
                data = data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
            case "cut":
                data = data[:at] + data[upto:]
            case "insert":
                data = data[:at] + draw(st.one_of(st.binary(min_size=1, max_size=4), tokens)) + data[at:]
            case "twice":
                data = data[:upto] + data[at:]
            case "end":
                data = data[:at]
            case _:
                data = data[at:] + data[:at]
    return data[: 4 * MOST]
