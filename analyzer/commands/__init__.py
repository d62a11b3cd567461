"""The commands of the command line, a module each; ``tree`` puts them together."""
