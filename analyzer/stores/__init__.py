"""Audits in tables, run by run, for questions that no report was made for."""
