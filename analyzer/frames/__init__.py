"""Capture files, pipes and directories, as frames."""
