"""What holds for all tests."""

import signal

# In the background of a shell Ctrl-C is ignored, and so it would be by every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
