"""A rig as YAML: read whole, checked whole, frozen."""
