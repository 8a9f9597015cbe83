"""Who signs in, for which organisation, with which role or token."""
