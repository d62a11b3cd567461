"""The table of commands."""

from __future__ import annotations

__all__ = ["MODULE_OF"]

# In the order of the help: the module in this folder that holds the command, or the group of commands.
MODULE_OF = {
    "audit": "audit",
    "show": "show",
    "demo": "audit",
    "live": "live",
    "annotate": "annotate",
    "extract": "extract",
    "query": "query",
    "rule": "rules",
    "explain": "explain",
    "config": "config",
    "baseline": "baseline",
    "wireshark": "wireshark",
    "completion": "completion",
}
