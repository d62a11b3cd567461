"""Stores: the results of audits in tables, run by run, for questions that no report answers."""
