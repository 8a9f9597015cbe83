"""Pages that bring several apps together, one module per page."""
