"""How the rig rings, and what follows from it: the shape of moves, the wait before each exposure, and whether frames are still.

`known` puts together what the config and the calibration say; `amplitude` tells how far the image swings after a move; `choice`
picks the shape of moves, `advice` the acceleration where the driver cannot shape; `stillness` keeps account during a run;
`shake` sees in pictures what was not still.
"""
