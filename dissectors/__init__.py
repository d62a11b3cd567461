"""Grammar of SMTP as construct expressions: each production parses and builds.

Knows bytes, never files, flows or findings.
"""
