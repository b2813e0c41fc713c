"""A library that may hang, abort or be killed, held by a process of its own.

`child` is the driver's end, `link` that process's; what passes between them is a `wire.Codec` of messages. `link` and `wire`
import nothing but the standard library: the other process may be another Python.
"""
