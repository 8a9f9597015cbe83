"""Stemma: from a sound back to the people it came from.

The domain and the MLOps of the platform, as a library and a command line.  `docs/architecture.md`
draws the rooms of this package and says which of them may know which.
"""

__version__ = "0.1.0"
