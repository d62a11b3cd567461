"""Scapy packets over the grammar."""
