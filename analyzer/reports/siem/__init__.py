"""Reports in the formats of network monitors: Suricata's EVE, the Elastic Common Schema, Zeek's logs."""
