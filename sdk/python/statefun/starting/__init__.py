"""`statefun init`: a project to begin with."""
