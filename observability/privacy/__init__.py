"""What keeps credentials and personal data out of every signal."""
