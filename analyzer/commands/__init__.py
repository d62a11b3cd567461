"""The commands of the command line, one module each; ``registry`` finds them by name."""
