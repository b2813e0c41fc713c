"""The simulated rig: a rail with physics, a camera with optics, a scene with depth."""
