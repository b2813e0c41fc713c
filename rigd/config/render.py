"""A resolved rig as YAML, as plain data, and as a hash of what it says."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import yaml

from rigd.config.driver import DriverConfig
from rigd.config.model import RigConfig
from rigd.config.panel import Panel, PanelOptions
from rigd.config.section import Section


def to_dict(config: RigConfig) -> dict[str, Any]:
    """The rig as plain data with every default filled in, for manifests; `from_dict` reads it back.

    Sections that are not there are left away. Everything in it can be written as JSON.
    """
    found: dict[str, Any] = {}
    for name in RigConfig.model_fields:
        section = getattr(config, name)
        if section is None:
            continue
        if isinstance(section, DriverConfig):
            found[name] = _device(section)
        elif isinstance(section, Panel):
            found[name] = _panel(section)
        elif isinstance(section, dict):
            found[name] = {key: _entry(entry) for key, entry in section.items()}
        else:
            found[name] = section.model_dump(mode="json")
    return found


def _entry(entry: DriverConfig | Section) -> dict[str, Any]:
    return _device(entry) if isinstance(entry, DriverConfig) else entry.model_dump(mode="json")


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        **panel.model_dump(mode="json", include=set(PanelOptions.model_fields)),
        "buttons": {role: _device(button) for role, button in panel.buttons.items()},
        "led": None if panel.led is None else _device(panel.led),
    }


def _device(device: DriverConfig) -> dict[str, Any]:
    return {"driver": device.driver, **device.options.model_dump(mode="json")}


def resolved_yaml(config: RigConfig) -> str:
    """The rig as a config in which nothing is left to defaults. Loaded again, it gives an equal rig."""
    return yaml.safe_dump(
        to_dict(config), sort_keys=False, allow_unicode=True, default_flow_style=False, width=110
    )


def config_hash(config: RigConfig) -> str:
    """SHA-256 (hexadecimal) of the rig as canonical JSON: equal for equal rigs, whatever the files looked like."""
    canonical = json.dumps(to_dict(config), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
