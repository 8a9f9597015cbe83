"""Who owns what, who allowed what, and who may use what: the domain, in plain Python."""
