"""Extraction of messages from captures: their octets as the receiver stores them, with their envelopes."""
