"""Fakes of the ports: each passes the suite in tests/contracts that the real thing passes."""
