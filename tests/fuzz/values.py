"""Parameters of commands: those that a verb takes, wise or not, and those that it does not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rigd.messages.verbs import SETTINGS, VERBS
from tests.fuzz.raw import scalars, texts

SESSIONS = ("20260101T000000Z-bench", "..", "../sessions", "/etc", "a/b", ".", "x" * 64)
"""Names of sessions that are not there."""
ODD_NAMES = ("a", "ring", "..", "/", "a/b", "a\u2028b", "\u202e", "-", "*", "%s%n", "x" * 64)

positions = st.one_of(
    st.integers(0, 15_000), st.floats(0, 15_000), st.sampled_from([0, 0.0, 15_000, 15_001, 1e7, 1e-9])
)
distances = st.one_of(
    st.integers(-3000, 3000), st.floats(-16_000, 16_000), st.sampled_from([0, 1e-9, -100_000, 100_000])
)
names = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=64),
    st.sampled_from(ODD_NAMES),
)
GOOD_NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    "position_um": positions,
    "near_um": positions,
    "far_um": positions,
    "from_um": positions,
    "to_um": positions,
    "distance_um": distances,
    "hold_s": st.one_of(st.floats(0.01, 60), st.sampled_from([60, 5, 1e-9])),
    "step_um": st.one_of(st.floats(50, 1000), st.sampled_from([1e-9, 0.5, 1, 10, 1e6])),
    "frames": st.one_of(st.integers(2, 30), st.sampled_from([1000, 100_000])),
    "margin_frames": st.integers(0, 50),
    "settle_s": st.one_of(st.floats(0, 0.1), st.sampled_from([0, 1e-9, 600])),
    "jog_um": st.one_of(st.floats(1, 100_000), st.sampled_from([1e-9, 1, 100_000])),
    "ttl_s": st.one_of(st.floats(1, 5), st.sampled_from([1, 3600])),
    "seconds": st.one_of(st.floats(0.01, 0.5), st.sampled_from([60, 1e-9])),
}
GOOD: dict[str, st.SearchStrategy[Any]] = GOOD_NUMBERS | {
    "nudge": st.sampled_from(["toward", "away"]),
    "direction": st.sampled_from(["near_to_far", "far_to_near"]),
    "end": st.sampled_from(["park", "return", "release", "stay"]),
    "profile": names,
    "name": names,
    "session": st.one_of(names, st.sampled_from(SESSIONS)),
    "holder": names,
    "force": st.booleans(),
    "lease": names,
}
"""Values that a verb takes."""
assert set(SETTINGS) <= set(GOOD)
NEEDED = {
    "goto": {"position_um"},
    "sweep": {"from_um", "to_um", "step_um"},
    "lease.take": {"holder"},
}
STRANGERS = ("x", "Position_um", "position", "", "__class__", "value", "\u202e", "k" * 500)
"""Names that no parameter has."""
_bad_numbers = st.one_of(
    st.sampled_from([-1e12, 1e12, 10**400, "5", "", [], {}, [5], {"value": 5}, True, False]),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.integers(10**9, 10**30),
    texts,
)
_bad_texts = st.one_of(
    st.sampled_from(
        [5, 0.5, True, [], {}, ["a"], "\0", "a\nb", "x" * 65, "\x7f", "near", "NEAR_TO_FAR", "\ud800"]
    ),
    st.lists(scalars, max_size=2),
)


def bad(name: str) -> st.SearchStrategy[Any]:
    """Values that are mostly wrong for that parameter."""
    return _bad_numbers if name in GOOD_NUMBERS else _bad_texts


@st.composite
def good_params(draw: st.DrawFn, verb: str) -> dict[str, Any]:
    """Parameters as the verb declares them."""
    if verb == "jog":
        one = draw(st.sampled_from(["distance_um", "nudge"]))
        params = {one: draw(GOOD[one])}
        return params | ({"hold_s": draw(GOOD["hold_s"])} if draw(st.booleans()) else {})
    known = sorted(VERBS[verb].params.model_fields)
    needed = NEEDED.get(verb, set())
    chosen = draw(st.sets(st.sampled_from(known), max_size=3)) if known else set()
    return {name: draw(GOOD[name]) for name in sorted(chosen | needed)}


@st.composite
def bad_params(draw: st.DrawFn, verb: str) -> Any:
    """Parameters that the verb mostly cannot have."""
    params: dict[str, Any] = dict(draw(good_params(verb)))
    known = sorted(set(VERBS[verb].params.model_fields) - {"force"})
    how = draw(st.sampled_from(["unknown", "wrong", "wrong", "missing", "shape"]))
    if how == "wrong" and known:
        name = draw(st.sampled_from(known))
        params[name] = draw(bad(name))
    elif how == "missing" and verb in NEEDED:
        params = {}
    elif how == "shape":
        return draw(st.sampled_from([None, [], [params], "params", 5, True]))
    else:
        params[draw(st.sampled_from(STRANGERS))] = 1
    return params
