"""Registration of a stack: where each frame lies, how bright it is, and what that says about the lens and the rail."""

from stackcore.registration.geometry import Calibration, calibrate
from stackcore.registration.registrar import Registrar, Registration

__all__ = ["Calibration", "Registrar", "Registration", "calibrate"]
