"""What a report does not tell: secrets, and on demand whatever names people. Between the audit and every consumer."""
