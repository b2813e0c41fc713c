"""Tethered DSLR and mirrorless cameras through libgphoto2, which runs in a process of its own.

`camera` is the driver, `worker` that process; `messages` pass between them. Why: `docs/adr/0013`.
"""
