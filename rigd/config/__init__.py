"""A rig as YAML: read whole, checked whole, frozen.

`load` gives the rig or raises one `ConfigError` that carries everything that is wrong; `examine` gives both as a report.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from rigd.config.driver import DriverConfig
from rigd.config.load import Report, examine, from_dict, load
from rigd.config.model import RigConfig
from rigd.config.problems import ConfigError, Problem, format_problems
from rigd.config.render import config_hash, resolved_yaml, to_dict

__all__ = [
    "ConfigError",
    "DriverConfig",
    "Problem",
    "Report",
    "RigConfig",
    "config_hash",
    "demo_path",
    "examine",
    "format_problems",
    "from_dict",
    "load",
    "resolved_yaml",
    "to_dict",
]


def demo_path() -> Path:
    """The config of `rigd demo`, which comes with the package."""
    return Path(str(resources.files("rigd.config").joinpath("demo.yaml")))
