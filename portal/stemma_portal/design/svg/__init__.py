"""Pictures made on the server: no script is needed to see them, and each has its table beneath.

Sizes and places are attributes, colours are classes: the content security policy allows no inline style.
"""
