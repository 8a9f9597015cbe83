"""The local stack: which processes, in which order, how one knows that they are well, and where their data lies."""
