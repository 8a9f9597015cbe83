"""Bringing sounds and scores: uploads in parts, what they are, whose recording they belong to."""
