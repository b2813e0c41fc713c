"""The hardware: what a rig can be made of. Each driver does; none decides."""
