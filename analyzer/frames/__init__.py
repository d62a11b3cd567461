"""Read capture files, pipes and directories as frames."""
