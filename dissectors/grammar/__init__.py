"""The ABNF of SMTP as regular expressions and constructs."""
