"""The parts of a message, and the faults in them."""
