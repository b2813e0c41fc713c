"""The command line: arguments, what people read, exit codes. Nothing is computed here."""
