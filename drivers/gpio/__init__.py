"""Small parts on the pins of a Raspberry Pi, through gpiozero: wired release, lamp, contact."""
