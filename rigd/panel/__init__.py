"""Buttons and a status LED at the rig: one more way to command it, through the same desk as every other."""

from rigd.panel.panel import Panel

__all__ = ["Panel"]
