"""Reports in the words of network monitors: Suricata's EVE, the Elastic Common Schema, Zeek's logs."""
