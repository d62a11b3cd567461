"""Verbs, reply codes, EHLO keywords."""
