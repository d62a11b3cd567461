"""The audit: from frames to findings. What the bytes of SMTP mean is in the sister package ``dissectors``."""
