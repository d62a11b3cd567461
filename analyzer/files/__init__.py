"""Files: every one that the program opens, reads, makes or replaces goes through the modules of this folder."""
