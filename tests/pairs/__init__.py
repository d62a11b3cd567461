"""Pairs of findings of which one follows from the other, by theme."""
