"""Readers of what labels bring, into one record type; and the built-in house catalog."""
