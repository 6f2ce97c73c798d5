"""Builds a worker of a module and settings, and runs it: the only place that knows everything."""

from statefun_runtime.app.life import run_application

__all__ = ["run_application"]
