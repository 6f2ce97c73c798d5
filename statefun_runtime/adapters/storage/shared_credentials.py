"""Keys for S3 from the file that AWS's tools share, read again now and then: a mounted secret changes."""

from configparser import ConfigParser
from configparser import Error as ParsingError
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from statefun_runtime.errors import UnavailableError

_GOOD_FOR = timedelta(minutes=5)


class SharedCredentials:
    """Gives obstore the keys of one profile whenever it asks, which it does before they are five minutes old."""

    def __init__(self, path: Path, profile: str) -> None:
        self._path = path
        self._profile = profile

    def __call__(self) -> dict[str, Any]:
        """Return the keys; raise UnavailableError, which names no part of them, if they cannot be read."""
        parser = ConfigParser(interpolation=None)
        try:
            parser.read(self._path)
            profile = parser[self._profile]
            return {
                "access_key_id": profile["aws_access_key_id"],
                "secret_access_key": profile["aws_secret_access_key"],
                "token": profile.get("aws_session_token"),
                "expires_at": datetime.now(UTC) + _GOOD_FOR,
            }
        except (ParsingError, OSError, KeyError, UnicodeDecodeError) as error:
            raise UnavailableError(
                f"{self._path} has no keys of profile '{self._profile}': {type(error).__name__}",
                code="SF3045",
            ) from None
