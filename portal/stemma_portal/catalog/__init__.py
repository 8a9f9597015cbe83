"""Works, recordings, the parties who own them, and their shares."""
