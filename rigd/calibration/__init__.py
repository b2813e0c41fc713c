"""What a rig is measured to be: how it rings, what its screw loses, how well it finds home, how long its steps are."""
