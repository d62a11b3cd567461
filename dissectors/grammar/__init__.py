"""ABNF as regular expressions and constructs."""
