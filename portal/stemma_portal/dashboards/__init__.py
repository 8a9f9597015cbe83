"""The pages that bring the other apps together."""
