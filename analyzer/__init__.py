"""The audit: from frames to findings. The grammar of SMTP is in the sister package ``dissectors``."""
