"""The grammar of SMTP: productions that parse and build command lines and replies.

This package knows only bytes, no files, flows or findings.
"""
