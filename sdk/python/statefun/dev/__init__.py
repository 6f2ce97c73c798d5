"""`statefun dev`: worker and functions in one terminal."""
