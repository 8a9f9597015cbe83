"""Generations, as the facts in object storage tell of them."""
