"""Small captures of real mail software; README.md says where each comes from and what it shows."""
