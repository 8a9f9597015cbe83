"""From facts to money owed: pure functions, integers only."""
