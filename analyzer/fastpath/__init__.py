"""Dialogues that were judged before, reported without judging them again."""
