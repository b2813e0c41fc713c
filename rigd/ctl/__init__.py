"""`rigctl`: rigs from the command line, over a broker or a Unix socket."""
