"""The base of all declared options: frozen, typed, with no key that is not known."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """A driver's declared options. Field names carry their unit; `Field(description=...)` is the reference manual."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
