"""Scores, instruments, sound: everything that is about music and nothing that is about rights."""
