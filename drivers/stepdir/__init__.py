"""A rail whose STEP, DIR and ENABLE hang on the Pi's own pins.

Pulses are timed by lgpio's transmit waves, slow pins go through gpiozero. `transmitter` knows lgpio, `train` keeps its queue fed,
`schedule` computes when each pulse is due, `homing` finds zero, `rail` is what the daemon sees.
"""
