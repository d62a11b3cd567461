"""Turn frames into TCP segments."""
