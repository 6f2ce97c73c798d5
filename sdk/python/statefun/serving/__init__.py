"""`statefun serve`: an HTTP server for functions, and nothing else."""
