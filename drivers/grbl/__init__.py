"""Rails on motion controllers that speak Grbl 1.1: Grbl itself, grblHAL, FluidNC.

`protocol` and `codes` are bytes and values; `counting` is the controller's own arithmetic; `port` and `conversation` are the
serial line; `tracking` knows where the rail is; `settings` compares `$$` with the config; `rail` is the driver.
"""
