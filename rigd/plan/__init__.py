"""A capture plan: where the rail stops, in which order, and what that will take. Pure: no clock, no I/O, no drivers.

Edge rules, all of them:

- near and far are reached exactly (each to its nearest microstep), whatever the step;
- a step is the *longest* distance allowed between two frames: `ceil((far - near) / step) + 1` frames are spread evenly;
- each position is rounded to microsteps once, from its exact value, so rounding never adds up; `Plan.rounding_um` shows it;
- where the step changes on the way (`Zone`), each stretch is such a plan of its own: its ends are reached exactly too;
- margin frames go on beyond both ends at the step of the stretch they continue;
- every frame is approached in the direction of capture by more than the backlash; the first from `approach`.
"""

from __future__ import annotations

from rigd.plan.advice import Advice, Facts, advise
from rigd.plan.costs import Costs, Prediction, check_resources, predict
from rigd.plan.making import make_plan
from rigd.plan.model import Plan, PlanError, PlanRequest, RailModel, Zone, exactly
from rigd.plan.reasons import Reason, Wish, explain, overlap
from rigd.plan.varying import following

__all__ = [
    "Advice",
    "Costs",
    "Facts",
    "Plan",
    "PlanError",
    "PlanRequest",
    "Prediction",
    "RailModel",
    "Reason",
    "Wish",
    "Zone",
    "advise",
    "check_resources",
    "exactly",
    "explain",
    "following",
    "make_plan",
    "overlap",
    "predict",
]
