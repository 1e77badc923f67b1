"""What the command is made of: what is asked in a shell, what runs, what is written."""
