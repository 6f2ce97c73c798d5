"""Where AWS is called, as whom, and how."""

from dataclasses import dataclass, field
from typing import assert_never


@dataclass(frozen=True, slots=True)
class DefaultRegion:
    """The AWS region that the environment or AWS's configuration file names."""


@dataclass(frozen=True, slots=True)
class SpecificRegion:
    """One AWS region."""

    id: str


@dataclass(frozen=True, slots=True)
class CustomEndpoint:
    """An URL that is called instead of AWS; requests are signed for a region all the same."""

    url: str
    region_id: str


AwsRegion = DefaultRegion | SpecificRegion | CustomEndpoint


@dataclass(frozen=True, slots=True)
class DefaultCredentials:
    """What AWS's chain of providers finds: environment, files, the machine's role."""


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """A key as the module has it; its secret is not shown."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProfileCredentials:
    """A profile of AWS's credentials file, or of another file of that form."""

    name: str
    path: str | None = None


AwsCredentials = DefaultCredentials | BasicCredentials | ProfileCredentials


@dataclass(frozen=True, slots=True)
class AwsClientSettings:
    """How AWS is called; `endpoint_url` replaces its own URL, None leaves that to the environment."""

    connect_s: float = 10.0
    read_s: float = 50.0
    connections_max: int = 50
    endpoint_url: str | None = None


def describe_region(region: AwsRegion) -> str:
    """Return where AWS is called, for people."""
    match region:
        case DefaultRegion():
            return "in the default region"
        case SpecificRegion():
            return region.id
        case CustomEndpoint():
            return f"{region.url}, {region.region_id}"
        case _:
            assert_never(region)
