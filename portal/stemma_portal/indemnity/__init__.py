"""Claims against outputs: what a licensee is held free of, on which evidence, and what is set aside for it."""
