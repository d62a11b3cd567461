"""Which connections there are, and who follows each."""
