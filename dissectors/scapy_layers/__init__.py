"""Scapy packets built on the grammar."""
