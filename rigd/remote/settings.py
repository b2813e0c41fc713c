"""What the next stack is taken with: the config, a profile over it, and over that what was changed since.

Where the farthest plane is known, step and number of frames exclude each other: the one that was given later counts.
"""

from __future__ import annotations

import copy
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rigd.config import RigConfig
from rigd.config.plan import PlanSection
from rigd.messages import reports
from rigd.messages.base import ErrorCode
from rigd.messages.verbs import PlanParams, SettingsParams
from rigd.remote.reading import clean, explain
from rigd.session.files import DiskError, sync_folder, write_atomic

log = logging.getLogger(__name__)

NAME = "settings.jsonl"
"""A line for each change, with all settings that differ from the config; the last one counts. A line is appended in microseconds;
replacing a file while frames are being written takes the disk, and so the answer, a tenth of a second."""
MOST_LINES = 1000
"""After so many the file is begun anew."""
JOG_UM = 100.0
"""How far a press of a jog button goes, unless the rig's config bounds jogs to less."""
_PLAN = ("near_um", "far_um", "step_um", "frames", "steps", "margin_frames", "direction")
_TWO_OF = ("far_um", "step_um", "frames")

Layer = Mapping[str, Any]


class SettingsError(ValueError):
    """A setting, or a stack made of them, that cannot be; nothing was changed."""

    def __init__(self, code: ErrorCode, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class LiveSettings:
    """The settings of one rig. On the loop's thread, but for `sync`.

    Args:
        config: the rig's own.
        folder: where changed settings are kept over a restart; made when it is not there.
        on_change: called when one has changed.

    Raises:
        OSError: the folder cannot be used.
    """

    def __init__(self, config: RigConfig, folder: Path, on_change: Callable[[], None] = lambda: None) -> None:
        self.on_change = on_change
        self.path = folder / NAME
        self._base = config
        self._changed: dict[str, Any] = {}
        self._dirty = False
        self._lines = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._load()

    @property
    def dirty(self) -> bool:
        """Whether a change was written that `sync` has not brought to the disk."""
        return self._dirty

    def report(self) -> reports.Settings:
        """All of them, as they are in force."""
        values = self._values()
        return reports.Settings(
            **{name: value for name, value in values.items() if value is not None and name != "steps"},
            profile=self._changed.get("profile"),
            jog_um=self.jog_um,
            changed=self._different(values),
        )

    def _different(self, in_force: Layer) -> list[str]:
        """Names of the changes that make a difference to what the config says by itself."""
        config = {**self._layers({})[0], "profile": None, "jog_um": self._jog_default_um}
        now = {**in_force, "profile": self._changed.get("profile"), "jog_um": self.jog_um}
        return [name for name in self._changed if now[name] != config[name]]

    @property
    def jog_um(self) -> float:
        """How far a press of a jog button goes."""
        return float(self._changed.get("jog_um", self._jog_default_um))

    @property
    def _jog_default_um(self) -> float:
        return min(JOG_UM, self._base.jog.max_distance_um)

    def as_of_now(self) -> LiveSettings:
        """To read: what is changed later does not reach it."""
        return copy.copy(self)  # changes are a new dictionary each time

    def config(self, extra: PlanParams | None = None) -> RigConfig:
        """The rig's config with plan, settle and capture as the settings say, and `extra` over them.

        Without a nearest plane there is no plan in it. Raises `SettingsError`.
        """
        given = {} if extra is None else extra.model_dump(include=set(PlanParams.model_fields))
        given = {name: value for name, value in given.items() if value is not None}
        self._check_limits(given)
        layers = [self._profile(given.pop("profile", None)), given]
        values = self._values(*layers)
        end, settle_s = values.pop("end"), values.pop("settle_s")
        base = self._base
        # A wait that somebody asks for is the wait, whatever the config computes.
        asked = any(
            layer.get("settle_s") is not None for layer in (*self._layers(self._changed)[1:], *layers)
        )
        mode = "fixed" if asked else base.settle.mode
        return base.model_copy(
            update={
                "plan": self._plan(values),
                "settle": base.settle.model_copy(update={"fixed_s": settle_s, "mode": mode}),
                "capture": base.capture.model_copy(update={"end": end}),
            }
        )

    def change(self, values: Layer) -> None:
        """Change settings, all or none. None or an empty text goes back to the config's.

        Raises:
            SettingsError: one of them cannot be.
            OSError: the change cannot be written down.
        """
        checked = self._checked({name: None if value == "" else value for name, value in values.items()})
        changed = dict(self._changed)
        if checked.get("profile") is not None:
            # Whoever chooses a profile wants what it says, and not what was set before.
            for name in self._profile(checked["profile"]):
                changed.pop(name, None)
        for name, value in checked.items():
            changed.pop(name, None)
            if value is not None:
                changed[name] = value
        changed = self._without_shadowed(changed, checked)
        if changed == self._changed and list(changed) == list(self._changed):
            return
        self._write(changed)
        self._changed, self._dirty = changed, True
        self.on_change()

    def sync(self) -> None:
        """Bring changes to the disk. Blocks; for another thread. Raises OSError."""
        self._dirty = False
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        sync_folder(self.path.parent)

    # ------------------------------------------------------------------------------------------------------------ layers

    def _values(self, *above: Layer) -> dict[str, Any]:
        """What is in force, with further layers over it. Raises `SettingsError` for a stack that is determined twice."""
        return _merge(*self._layers(self._changed), *above)

    def _layers(self, changed: Layer) -> list[Layer]:
        """The config, the profile, and each change by itself, in the order in which they were made."""
        plan = self._base.plan
        lowest = {name: getattr(plan, name) if plan is not None else None for name in _PLAN}
        if plan is not None:
            lowest["near_um"], lowest["far_um"] = plan.ends_um  # in whichever way the config says it
        lowest["margin_frames"] = lowest["margin_frames"] or 0
        lowest["direction"] = lowest["direction"] or "near_to_far"
        lowest |= {"settle_s": self._base.settle.fixed_s, "end": self._base.capture.end}
        ones = [{name: value} for name, value in changed.items() if name in lowest]
        return [lowest, self._profile(changed.get("profile")), *ones]

    def _profile(self, name: str | None) -> Layer:
        if name is None:
            return {}
        profile = self._base.profiles.get(name)
        if profile is None:
            known = ", ".join(self._base.profiles)
            there = f"there are {known}" if known else "the rig's config has none"
            raise _wrong(ErrorCode.INVALID_PARAMS, "profile", f"no profile '{clean(name)}'; {there}")
        return profile.model_dump(exclude_none=True)

    def _plan(self, values: Layer) -> PlanSection | None:
        if values["near_um"] is None:
            return None
        base = self._base.plan or PlanSection()
        same = {"overshoot_um": base.overshoot_um, "dof_share": base.dof_share}
        # A number of frames, asked for by whoever commands, is one of even steps.
        steps = {} if values["frames"] is not None or values["steps"] is None else {"steps": values["steps"]}
        try:
            return PlanSection.model_validate({**values, **same, "steps": (), **steps})
        except ValidationError as error:
            message = str(error.errors()[0]["msg"])
            raise SettingsError(ErrorCode.INVALID_PARAMS, message, "params") from error

    def _without_shadowed(self, changed: dict[str, Any], new: Layer) -> dict[str, Any]:
        """Without changes that others have overtaken, so that they do not come back when those are reset."""
        if all(new.get(name) is not None for name in ("step_um", "frames")):
            both = {name: value for name, value in new.items() if value is not None}
            _merge(*self._layers({name: value for name, value in changed.items() if name not in both}), both)
        in_force = _merge(*self._layers(changed))
        return {
            name: value
            for name, value in changed.items()
            if name not in _TWO_OF or in_force[name] is not None
        }

    # ------------------------------------------------------------------------------------------------------------- checks

    def _checked(self, values: Layer) -> dict[str, Any]:
        unknown = [name for name in values if name not in SettingsParams.model_fields]
        if unknown:
            raise SettingsError(ErrorCode.UNKNOWN_SETTING, f"no setting '{clean(unknown[0])}'")
        try:
            model = SettingsParams.model_validate(values)
        except ValidationError as error:
            raise SettingsError(
                ErrorCode.INVALID_PARAMS, *explain(error, SettingsParams, "params")
            ) from error
        checked = model.model_dump(include=set(values))
        self._check_limits(checked)
        jog_um, most_um = checked.get("jog_um"), self._base.jog.max_distance_um
        if jog_um is not None and jog_um > most_um:
            message = f"{jog_um:g} is longer than a jog may be, {most_um:g}"
            raise _wrong(ErrorCode.OUT_OF_LIMITS, "jog_um", message)
        self._profile(checked.get("profile"))
        return {name: checked[name] for name in values}

    def _check_limits(self, values: Layer) -> None:
        limits = self._base.limits
        for name in ("near_um", "far_um"):
            at_um = values.get(name)
            if at_um is not None and not limits.min_um <= at_um <= limits.max_um:
                message = f"{at_um:g} is outside the limits, {limits.min_um:g} to {limits.max_um:g}"
                raise _wrong(ErrorCode.OUT_OF_LIMITS, name, message)

    def _write(self, changed: Layer) -> None:
        line = json.dumps(changed, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        if self._lines >= MOST_LINES:
            write_atomic(self.path, line, durable=False)
            self._lines = 1
            return
        try:
            self._append(line)
        except OSError as error:
            raise DiskError.of(error, self.path) from error
        self._lines += 1

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if (written := os.write(descriptor, line)) != len(line):
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise DiskError.full(self.path)
        finally:
            os.close(descriptor)

    def _load(self) -> None:
        """Take in what was changed before the restart. What is no setting of this config any more is left out, and said."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        # A line that a power cut has torn is the last one, and nothing may be appended to it.
        self._lines = len(lines) if lines[-1] == b"" else MOST_LINES
        for name, value in self._newest(lines).items():
            try:
                checked = self._checked({name: value})
                _merge(*self._layers({**self._changed, **checked}))
            except SettingsError as error:
                log.warning("%s: %s is left out: %s", self.path, name, error)
            else:
                self._changed |= checked

    def _newest(self, lines: list[bytes]) -> dict[str, Any]:
        for line in reversed(lines):
            try:
                kept = json.loads(line)
            except ValueError:
                if line:
                    log.warning("%s: a line that cannot be read is left out", self.path)
                continue
            if isinstance(kept, dict):
                return kept
        return {}


def _merge(*layers: Layer) -> dict[str, Any]:
    """Layers over each other, the last one on top. With a farthest plane, the older of step and frames gives way.

    Raises:
        SettingsError: one layer gives step and frames, and the farthest plane is known.
    """
    values: dict[str, Any] = {}
    latest = "step_um"
    for depth, layer in enumerate(layers):
        values |= layer
        given = [name for name in ("step_um", "frames") if layer.get(name) is not None]
        if len(given) == 1:
            latest = given[0]
        if all(values[name] is not None for name in _TWO_OF):
            if depth > 0 and len(given) > 1:
                message = "step_um and frames exclude each other, as near_um and far_um are known"
                raise _wrong(ErrorCode.INVALID_PARAMS, "frames", message)
            values["frames" if latest == "step_um" else "step_um"] = None
    return values


def _wrong(code: ErrorCode, name: str, message: str) -> SettingsError:
    return SettingsError(code, f"params.{name}: {message}", f"params.{name}")
