"""A rail driver for rigd in a package of its own. The controller `plain` is made up; everything else is how a driver is made.

This module is imported whenever rigd looks for drivers, also on a laptop: it imports no hardware library, and neither does `options`.
"""

from drivers.base import Entry

RAIL = Entry(
    kind="rail",
    name="plain",
    options="rigd_plain.options:PlainOptions",
    target="rigd_plain.rail:PlainRail",
    summary="rail on a made-up controller",
)
