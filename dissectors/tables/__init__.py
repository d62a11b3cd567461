"""Tables of verbs, reply codes and EHLO keywords."""
