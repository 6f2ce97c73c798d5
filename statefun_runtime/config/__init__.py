"""Files and flags become the core's dataclasses here, or problems that a person can act on."""

from statefun_runtime.config.module.loading import LoadedModule
from statefun_runtime.config.options import options_help
from statefun_runtime.config.problems import (
    Code,
    ModuleError,
    Problem,
    Severity,
    render,
    summary,
)
from statefun_runtime.config.settings import (
    LOG_LEVELS,
    IgnoredOption,
    Settings,
    SettingsError,
    read_settings,
)

__all__ = [
    "LOG_LEVELS",
    "Code",
    "IgnoredOption",
    "LoadedModule",
    "ModuleError",
    "Problem",
    "Settings",
    "SettingsError",
    "Severity",
    "options_help",
    "read_settings",
    "render",
    "summary",
]
