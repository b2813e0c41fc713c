"""Raspberry Pi cameras through picamera2, which runs in a process of its own.

`camera` is the driver, `worker` that process; `messages` pass between them. `lens` moves the focus of a module with autofocus as if
it were a rail. Why: `docs/adr/0015`.
"""
