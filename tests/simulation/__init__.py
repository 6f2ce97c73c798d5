"""Whole workers in virtual time, with faults: design.md §7. `python -m tests.simulation.run --help`."""
