"""Findings inside Wireshark: packet comments in pcapng, an extcap that captures with them, a Lua post-dissector."""
