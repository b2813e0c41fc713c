"""Commands from elsewhere, whatever brings them: taken once, answered always, and what the rig says about itself."""
