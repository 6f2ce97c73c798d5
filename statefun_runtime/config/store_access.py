"""How object stores are reached: what the environment says, and the files that it names.

obstore reads the variables of each kind of store by itself. What is here is what AWS's own tools take besides those:
their files with profiles, and the endpoint's newer names.
"""

import os
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ParsingError
from dataclasses import dataclass
from pathlib import Path

from statefun_runtime.config.problems import Code
from statefun_runtime.errors import ConfigError

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# With one of these the library has what it needs.
_OTHER_WAYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """Where S3 is, if not where the library looks by itself, and the profile in a file that has the keys, if one has."""

    endpoint: str | None = None
    region: str | None = None
    keys_file: Path | None = None
    profile: str = "default"


def read_aws_access(environment: Mapping[str, str] | None = None) -> AwsAccess:
    """Return what is to be said to the library for S3; raise ConfigError for a profile that is asked for and not there."""
    env = os.environ if environment is None else environment
    profile = env.get("AWS_PROFILE", "default")
    keys_file = _file(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
    has_keys = _value(keys_file, profile, "aws_access_key_id") is not None
    is_asked = "AWS_PROFILE" in env and not any(env.get(name) for name in _OTHER_WAYS)
    if is_asked and not has_keys:
        raise ConfigError(
            f"AWS_PROFILE names profile '{profile}', of which {keys_file} has no aws_access_key_id",
            code=Code.BAD_SETTING,
            hint="write its keys there, name another file in AWS_SHARED_CREDENTIALS_FILE, or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY",
        )
    uses_file = has_keys and not any(env.get(name) for name in _OTHER_WAYS)
    return AwsAccess(
        endpoint=next((env[name] for name in _ENDPOINTS if env.get(name)), None),
        region=_region(env, profile),
        keys_file=keys_file if uses_file else None,
        profile=profile,
    )


def _region(env: Mapping[str, str], profile: str) -> str | None:
    named = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    if named:
        return named
    section = profile if profile == "default" else f"profile {profile}"
    return _value(_file(env, "AWS_CONFIG_FILE", "config"), section, "region")


def _file(env: Mapping[str, str], variable: str, name: str) -> Path:
    return Path(env.get(variable) or Path(env.get("HOME", "/")) / ".aws" / name).expanduser()


def _value(path: Path, section: str, key: str) -> str | None:
    """Return a value of a file; None if there is none, or no such file that can be read."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read(path)
        return parser.get(section, key, fallback=None)
    except (ParsingError, OSError, UnicodeDecodeError):
        return None
