"""Messages out of captures: their octets as the receiver stores them, with their envelopes."""
