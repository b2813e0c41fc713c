"""Samples of everything that a rig says, the sparse as well as the full."""

from __future__ import annotations

from datetime import UTC, datetime

from rigd.messages import base, events, reports, verbs

NOW = datetime(2026, 5, 4, 12, 30, 15, 250_000, tzinfo=UTC)
STAMP = {"boot_id": "b0", "seq": 7, "time": NOW}
REFUSAL = base.Error(code=base.ErrorCode.OUT_OF_LIMITS, message="beyond the end", field="params.position_um")

INFO = reports.Info(
    rig="bench-1",
    name="Bench",
    contract=base.CONTRACT,
    version="0.1.0",
    config_hash="c0ffee",
    rail=reports.RailInfo(
        name="sim",
        travel_um=50_000,
        microstep_um=0.3125,
        max_speed_um_per_s=10_000,
        backlash_um=5,
        can_release=True,
    ),
    camera=reports.CameraInfo(name="sim", width=640, height=480, suffix=".jpg", exposure_s=0.1),
    light=True,
    limits=reports.Limits(
        min_um=0, max_um=50_000, jog_max_um=2_000, jog_speed_um_per_s=500, jog_hold_max_s=5
    ),
    verbs=list(verbs.VERBS),
    settings=list(verbs.SETTINGS),
    profiles=["fine", "fast"],
)
BIRTH = reports.Birth(boot_id="b0", version="0.1.0", contract=base.CONTRACT, started=NOW)

_LOST = reports.Rail(homed=False, position_um=None, moving=False)
_FOUND = reports.Rail(homed=True, position_um=1234.5, target_um=1300, moving=True)
_SESSION = reports.SessionNow(id="s-1", name="beetle", phase="moving", frame=3, frames=12, eta_s=33.25)
UNHOMED = reports.State(**STAMP, mode="unhomed", rail=_LOST)
CAPTURING = reports.State(
    **STAMP, mode="capturing", rail=_FOUND, session=_SESSION, last_settle_s=0.31, last_error="é" * 300
)
STARTING = reports.State(
    **STAMP,
    mode="capturing",
    rail=_FOUND,
    session=reports.SessionNow(id="s-1", name="beetle", phase="starting", frame=0, frames=0),
)
FAULT = reports.State(
    **STAMP,
    mode="fault",
    rail=_LOST,
    fault=reports.Fault(code="stall", message="it does not move", next_step="look at it"),
    lease=reports.LeaseNow(holder="me", expires=NOW),
    camera_connected=False,
)
ESTOPPED = reports.State(**STAMP, mode="estopped", rail=_LOST)
STATES = (UNHOMED, CAPTURING, STARTING, FAULT, ESTOPPED)

_HELD_BACK = reports.ThrottlingNow(
    under_voltage=True, frequency_capped=False, throttled=True, soft_temperature_limit=False
)
NO_PI = reports.Health(time=NOW, uptime_s=1)
PI = reports.Health(
    time=NOW,
    uptime_s=3600.5,
    throttling=reports.Throttling(now=_HELD_BACK, since_boot=_HELD_BACK),
    temperature_c=55.5,
    disk_free_bytes=12_345_678_901,
    memory_available_bytes=1,
    memory_used_bytes=2,
    loop_lag_s=0.01,
    loop_lag_p99_s=0.002,
)
HEALTHS = (NO_PI, PI)

BARE = reports.Settings(settle_s=0.3, end="return", jog_um=100)
ALL = reports.Settings(near_um=1, frames="all", settle_s=0.3, end="return", jog_um=100)
STEPPED = reports.Settings(
    near_um=1,
    far_um=2000,
    step_um=12.5,
    margin_frames=2,
    settle_s=0.5,
    end="park",
    profile="fine",
    jog_um=50,
    changed=["step_um"],
)
COUNTED = STEPPED.model_copy(update={"step_um": None, "frames": 40})
SETTINGS = (BARE, ALL, STEPPED, COUNTED)

FRAME = reports.Frame(
    seq=9,
    time=NOW,
    session="s-1",
    index=3,
    frames=12,
    file="frames/000003.jpg",
    bytes=1000,
    sha256="00" * 32,
    position_um=1234.5,
    asked_um=1234.6,
    moved_s=1.0,
    settled_s=1.3,
    start_s=1.31,
    end_s=1.41,
    settle_s=0.31,
    metrics={"sharpness": 3.5},
    settings={"exposure_s": 0.1, "gain": None},
)
SUMMARY = reports.Summary(
    session="s-1",
    name="beetle",
    outcome="complete",
    created="2026-05-04T12:30:15Z",
    frames=12,
    planned=12,
    rejected=1,
    files=20,
)
META = reports.PreviewMeta(frames=0, total=0, width=640, height=480, bytes=9000, sha256="00" * 32, time=NOW)
OK = reports.Reply(transaction="t-1", verb="home", status="accepted", time=NOW)
REFUSED = reports.Reply(verb="goto", status="error", error=REFUSAL, time=NOW)

EVENTS: tuple[events.Event, ...] = (
    events.ActionFinished(**STAMP, verb="home", transaction="t-1", status="ok"),
    events.ActionFinished(**STAMP, verb="goto", status="error", error=REFUSAL),
    events.CommandRefused(**STAMP, topic="request/goto", error=REFUSAL),
    events.SessionBegun(**STAMP, session="s-1", name="beetle", frames=12),
    events.SessionPaused(**STAMP, session="s-1", why="asked to", frame=3, frames=12),
    events.SessionResumed(**STAMP, session="s-1", frame=3, frames=12),
    events.SessionFinished(**STAMP, session="s-1", outcome="complete", frame=12, frames=12),
    events.SessionFused(**STAMP, session="s-1", ok=True, files=["fused.tif"]),
    events.FrameRetried(**STAMP, session="s-1", index=3, reason="black"),
    events.FaultRaised(**STAMP, code="stall", message="it does not move", next_step="look at it"),
    events.FaultCleared(**STAMP),
    events.EStopped(**STAMP, why="switch"),
    events.LeaseChanged(**STAMP, change="taken", holder="me"),
    events.Warned(**STAMP, session="s-1", code="settle_drift", message="it rings longer"),
)
SAID: tuple[base.Outward, ...] = (
    INFO, BIRTH, *STATES, *HEALTHS, *SETTINGS, FRAME, SUMMARY, META, OK, REFUSED, *EVENTS,
)  # fmt: skip
"""At least one of everything that is published as JSON."""
