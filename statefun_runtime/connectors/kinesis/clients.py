"""Where the Kinesis adapters get their client from: aiobotocore's; tests give them others.

This file is imported only by an application that declares a Kinesis component.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from statefun_runtime.connectors.kinesis.protocol import KinesisClient
from statefun_runtime.connectors.kinesis.settings.aws import (
    AwsClientSettings,
    AwsCredentials,
    AwsRegion,
    BasicCredentials,
    CustomEndpoint,
    ProfileCredentials,
    SpecificRegion,
)
from statefun_runtime.errors import ConfigError

try:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import AioSession
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        HTTPClientError,
        MetadataRetrievalError,
        ProfileNotFound,
    )
except ImportError as missing:
    raise ConfigError(
        f"a Kinesis component needs the library aiobotocore, which cannot be imported: {missing}",
        code="SF1090",
        hint="install it with: pip install 'statefun-runtime[kinesis]'",
    ) from missing

# What a call may raise for reasons of the world.
CALL_ERRORS = (ClientError, BotoCoreError, OSError, TimeoutError)
# Who hands out credentials may be away for a while, too.
_AWAY = (CredentialRetrievalError, HTTPClientError, MetadataRetrievalError)
# AWS's Java client reads both variables, botocore by itself only the second.
_SESSION_VARIABLES = {"region": ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)}


class KinesisClients(Protocol):
    """Makes clients; their methods are those of botocore's Kinesis client, awaited."""

    def connect(self) -> AbstractAsyncContextManager[KinesisClient]:
        """Return a client that is closed when its context ends; entering it may raise one of CALL_ERRORS."""
        ...


class AwsClients:
    """The real ones; `owner` is the component in messages."""

    def __init__(
        self,
        region: AwsRegion,
        credentials: AwsCredentials,
        settings: AwsClientSettings,
        *,
        owner: str,
    ) -> None:
        self._owner = owner
        self._session = AioSession(session_vars=_SESSION_VARIABLES)
        self._arguments: dict[str, Any] = {
            "region_name": self._region_name(region, credentials, owner),
            "endpoint_url": settings.endpoint_url,
            "config": AioConfig(
                connect_timeout=settings.connect_s,
                read_timeout=settings.read_s,
                max_pool_connections=settings.connections_max,
                # What is tried again, and how soon, is decided where the answer matters.
                retries={"total_max_attempts": 1},
            ),
        }
        if isinstance(region, CustomEndpoint):
            self._arguments["endpoint_url"] = region.url
        if isinstance(credentials, BasicCredentials):
            self._arguments["aws_access_key_id"] = credentials.access_key_id
            self._arguments["aws_secret_access_key"] = credentials.secret_access_key

    def _region_name(self, region: AwsRegion, credentials: AwsCredentials, owner: str) -> str:
        if isinstance(credentials, ProfileCredentials):
            self._use_profile(credentials, owner)
        match region:
            case SpecificRegion(region_id) | CustomEndpoint(_, region_id):
                return region_id
        found = self._session.get_config_variable("region")
        if not found:
            raise ConfigError(
                f"{owner}: its awsRegion is the default one, and none is set in the environment",
                code="SF1091",
                hint="set AWS_REGION, or write 'awsRegion:' with 'type: specific' and 'id:'",
            )
        return str(found)

    def _use_profile(self, credentials: ProfileCredentials, owner: str) -> None:
        self._session.set_config_variable("profile", credentials.name)
        if credentials.path is not None:
            self._session.set_config_variable("credentials_file", credentials.path)
        try:
            self._session.get_scoped_config()
        except ProfileNotFound:
            where = credentials.path or "AWS's credentials file"
            raise ConfigError(
                f"{owner}: there is no profile '{credentials.name}' in {where}",
                code="SF1092",
                hint="write 'profileName:' as a section of that file, or name the file with 'profilePath:'",
            ) from None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[KinesisClient]:
        """Return a client that is closed when its context ends.

        Raise ConfigError if it cannot be made of what is configured, here or in AWS's own files and variables.
        """
        try:
            context = self._session.create_client("kinesis", **self._arguments)
            client = await context.__aenter__()
        except _AWAY:
            raise
        except (BotoCoreError, ValueError) as error:
            raise ConfigError(
                f"{self._owner}: AWS's client cannot be made: {words(error)}",
                code="SF1094",
                hint="mend region, credentials or endpoint; AWS's own files and variables count, too",
            ) from error
        try:
            yield client
        finally:
            await context.__aexit__(None, None, None)


def code_of(error: Exception) -> str:
    """Return AWS's name for an error; empty if the answer did not come from there."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_throttled(code: str) -> bool:
    """Return whether a code means: the same again later."""
    return code == "ProvisionedThroughputExceededException" or any(
        word in code for word in ("Throttl", "LimitExceeded", "InternalFailure", "Unavailable")
    )


def words(error: Exception) -> str:
    """Return what a person reads about a call that failed."""
    if isinstance(error, ClientError):
        inner = error.response.get("Error", {})
        return f"{inner.get('Code', 'an error')}: {inner.get('Message', '')}".rstrip(": ")
    return str(error) or type(error).__name__
