"""One audit in several processes, on this machine or on a cluster."""
