"""Segments as the bytes of each direction in order, or gaps."""
