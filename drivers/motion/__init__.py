"""How rails move and how what they carry rings: pure mathematics, for rails that time each step themselves and for the simulator."""
