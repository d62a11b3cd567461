"""Read TLS: what its handshake says, and with the keys of a session what is inside."""
