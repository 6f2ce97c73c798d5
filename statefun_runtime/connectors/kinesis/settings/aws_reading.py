"""`awsRegion` and `awsCredentials`, and the properties of AWS's clients."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Item, Shape, parse_integer
from statefun_runtime.config.yaml.positions import Scalar
from statefun_runtime.connectors.kinesis.settings.aws import (
    AwsCredentials,
    AwsRegion,
    BasicCredentials,
    CustomEndpoint,
    DefaultCredentials,
    DefaultRegion,
    ProfileCredentials,
    SpecificRegion,
)

REGION_SHAPE = Shape("awsRegion", ("type", "id", "endpoint"))
CREDENTIALS_SHAPE = Shape(
    "awsCredentials",
    ("type", "accessKeyId", "secretAccessKey", "profileName", "profilePath"),
    advice={
        "sessionToken": "for keys that come with a token use a profile, or the environment with 'type: default'"
    },
)
REGION_TYPES = ("default", "specific", "custom-endpoint")
CREDENTIALS_TYPES = ("default", "basic", "profile")
_ENDPOINT_FORM = "write it like https://kinesis.example.net:4567"
_INT_MAX = 2**31 - 1


def read_region(component: Fields) -> AwsRegion | None:
    """Read where AWS is called; None if it could not be read."""
    fields = component.mapping("awsRegion", REGION_SHAPE)
    if fields is None:
        return DefaultRegion() if component.find("awsRegion") is None else None
    match fields.choice("type", REGION_TYPES, required=True):
        case "default":
            return DefaultRegion()
        case "specific":
            region = fields.text("id", required=True)
            return None if region is None else SpecificRegion(region)
        case "custom-endpoint":
            url, region = _read_endpoint(fields), fields.text("id", required=True)
            return None if url is None or region is None else CustomEndpoint(url, region)
    return None


def _read_endpoint(fields: Fields) -> str | None:
    scalar = fields.scalar("endpoint", required=True)
    return None if scalar is None else check_endpoint(fields, "endpoint", scalar)


def check_endpoint(fields: Fields, name: str, scalar: Scalar) -> str | None:
    """Return an endpoint; report it if it is no URL, and warn of one that is not encrypted."""
    reason = _why_not_endpoint(scalar.text)
    if reason is not None:
        message = f"{name} {scalar.text!r} {reason}"
        fields.draft.error(scalar.place, Code.WRONG_VALUE, message, _ENDPOINT_FORM)
        return None
    if scalar.text.startswith("http:"):
        message = f"{name} {scalar.text!r} is not encrypted"
        hint = "StateFun takes only https:// here; http:// is for a stand-in on your own machine"
        fields.draft.warn(scalar.place, Code.UNENCRYPTED, message, hint)
    return scalar.text


def _why_not_endpoint(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        is_port_possible = parts.port != 0
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https"):
        return "does not begin with https://"
    if not parts.hostname:
        return "names no host"
    return None if is_port_possible else "has a port that is not from 1 to 65535"


def read_credentials(component: Fields) -> AwsCredentials | None:
    """Read as whom AWS is called; None if it could not be read."""
    fields = component.mapping("awsCredentials", CREDENTIALS_SHAPE)
    if fields is None:
        return DefaultCredentials() if component.find("awsCredentials") is None else None
    match fields.choice("type", CREDENTIALS_TYPES, required=True):
        case "default":
            return DefaultCredentials()
        case "basic":
            key_id = fields.text("accessKeyId", required=True)
            secret = fields.text("secretAccessKey", required=True)
            return None if key_id is None or secret is None else BasicCredentials(key_id, secret)
        case "profile":
            name = fields.text("profileName", required=True)
            return None if name is None else ProfileCredentials(name, fields.text("profilePath"))
    return None


@dataclass(frozen=True, slots=True)
class Property:
    """A property that has an effect: what it becomes, and the numbers it may have (None: text)."""

    setting: str
    low: int | None = None
    high: int = _INT_MAX
    convert: Callable[[int], float] = float


def read_properties(
    fields: Fields, known: Mapping[str, Property], refused: Mapping[str, str]
) -> dict[str, Item]:
    """Return the properties that have an effect, by their setting; every other one is named in a warning.

    Java's clients do not mind the case of the first letter, nor is it minded here. `refused` says why a property, or
    all that begin with it if it ends in a dot, has none.
    """
    found: dict[str, Item] = {}
    for item in fields.pairs("clientConfigProperties"):
        name = item.key[:1].lower() + item.key[1:]
        if name not in known:
            message = f"property {item.key!r} is ignored: {_why_ignored(name, refused)}"
            fields.draft.warn(item.place, Code.IGNORED, message)
            continue
        setting = known[name].setting
        if setting in found:
            message = f"property {item.key!r} is there twice; this last one counts"
            fields.draft.warn(item.place, Code.IGNORED, message)
        found[setting] = item
    return found


def _why_ignored(name: str, refused: Mapping[str, str]) -> str:
    for prefix, reason in refused.items():
        if name == prefix or (prefix.endswith(".") and name.startswith(prefix)):
            return reason
    return "it has no counterpart here"


def read_numbers(
    fields: Fields, known: Mapping[str, Property], found: Mapping[str, Item]
) -> dict[str, float]:
    """Return the numbers among some properties, in the unit of their settings."""
    numbers: dict[str, float] = {}
    for one in known.values():
        item = found.get(one.setting)
        if item is None or one.low is None:
            continue
        number = parse_integer(item.value)
        if number is not None and one.low <= number <= one.high:
            numbers[one.setting] = one.convert(number)
        else:
            expected = f"a whole number from {one.low} to {one.high}"
            fields.wrong(item.key, item.value, expected)
    return numbers


def from_ms(milliseconds: int) -> float:
    """Return seconds."""
    return milliseconds / 1000
