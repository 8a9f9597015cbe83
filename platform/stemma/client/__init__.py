"""The two APIs as programs of licensees use them.  Needs neither Ray nor torch."""
