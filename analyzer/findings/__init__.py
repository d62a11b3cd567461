"""Findings: the rules that make them, and which of them the report keeps."""
