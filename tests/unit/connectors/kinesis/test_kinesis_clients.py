"""How a module's region and credentials reach AWS's client, and what is said when they cannot."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from statefun_runtime.connectors.kinesis.clients import AwsClients, code_of, words
from statefun_runtime.connectors.kinesis.settings.aws import (
    AwsClientSettings,
    AwsCredentials,
    AwsRegion,
    BasicCredentials,
    CustomEndpoint,
    DefaultCredentials,
    DefaultRegion,
    ProfileCredentials,
    SpecificRegion,
)
from statefun_runtime.errors import ConfigError
from tests.support.provisions import ROOT

CREDENTIALS = "[metering]\naws_access_key_id = a\naws_secret_access_key = b\n"


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))


async def described(
    region: AwsRegion = SpecificRegion("eu-west-1"),  # noqa: B008
    credentials: AwsCredentials = BasicCredentials("a", "b"),  # noqa: B008
    settings: AwsClientSettings = AwsClientSettings(),  # noqa: B008
) -> dict[str, Any]:
    """Return what a client would do."""
    clients = AwsClients(region, credentials, settings, owner="ingress 't/in'")
    async with clients.connect() as client:
        key = await client._request_signer._credentials.get_frozen_credentials()
        config = client.meta.config
        return {
            "url": client.meta.endpoint_url,
            "region": client.meta.region_name,
            "key": (key.access_key, key.secret_key),
            "timeouts": (config.connect_timeout, config.read_timeout),
            "connections": config.max_pool_connections,
        }


def run(*arguments: Any) -> dict[str, Any]:
    return asyncio.run(described(*arguments))


def test_a_region_and_basic_credentials_are_used_as_they_are():
    assert run() == {
        "url": "https://kinesis.eu-west-1.amazonaws.com",
        "region": "eu-west-1",
        "key": ("a", "b"),
        "timeouts": (10.0, 50.0),
        "connections": 50,
    }


def test_a_custom_endpoint_wins_over_a_property_and_has_a_region_to_sign_for():
    found = run(
        CustomEndpoint("https://k:4567", "eu-west-1"),
        BasicCredentials("a", "b"),
        AwsClientSettings(1.0, 2.0, 3, "https://other"),
    )
    assert (found["url"], found["region"]) == ("https://k:4567", "eu-west-1")
    assert (found["timeouts"], found["connections"]) == ((1.0, 2.0), 3)


def test_an_endpoint_that_is_a_property_is_called():
    settings = AwsClientSettings(endpoint_url="https://k:1")
    assert run(SpecificRegion("r"), BasicCredentials("a", "b"), settings)["url"] == "https://k:1"


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_default_region_is_that_of_the_environment(
    variable: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(variable, "us-west-2")
    assert run(DefaultRegion())["region"] == "us-west-2"


def test_default_credentials_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "environment")
    found = run(SpecificRegion("eu-west-1"), DefaultCredentials())
    assert found["key"] == ("from", "environment")


def test_a_profile_is_read_from_the_file_that_is_named(tmp_path: Path):
    path = tmp_path / "credentials"
    path.write_text(CREDENTIALS)
    credentials = ProfileCredentials("metering", str(path))
    assert run(SpecificRegion("eu-west-1"), credentials)["key"] == ("a", "b")


def test_a_profile_is_read_from_awss_own_file(tmp_path: Path):
    (tmp_path / "no-credentials").write_text(CREDENTIALS + "region = eu-north-1\n")
    found = run(DefaultRegion(), ProfileCredentials("metering"))
    assert (found["key"], found["region"]) == (("a", "b"), "eu-north-1")


def test_a_profile_that_does_not_exist_is_refused(tmp_path: Path):
    path = tmp_path / "credentials"
    path.write_text(CREDENTIALS)
    hint = "\nhint: write 'profileName:' as a section of that file, or name the file with 'profilePath:'"
    for where, shown in ((str(path), str(path)), (None, "AWS's credentials file")):
        with pytest.raises(ConfigError) as refused:
            run(SpecificRegion("eu-west-1"), ProfileCredentials("other", where))
        assert str(refused.value) == (
            f"SF1092: ingress 't/in': there is no profile 'other' in {shown}{hint}"
        )


def test_a_default_region_that_is_nowhere_is_refused():
    with pytest.raises(ConfigError) as refused:
        run(DefaultRegion())
    assert str(refused.value) == (
        "SF1091: ingress 't/in': its awsRegion is the default one, and none is set in the environment\n"
        "hint: set AWS_REGION, or write 'awsRegion:' with 'type: specific' and 'id:'"
    )


HINT = "\nhint: mend region, credentials or endpoint; AWS's own files and variables count, too"


def test_what_can_be_no_client_is_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError) as refused:
        run(SpecificRegion("eu west 1"))
    assert str(refused.value) == (
        "SF1094: ingress 't/in': AWS's client cannot be made: Provided region_name 'eu west 1' "
        f"doesn't match a supported format.{HINT}"
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "half")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(ConfigError) as refused:
        run(SpecificRegion("eu-west-1"), DefaultCredentials())
    assert str(refused.value) == (
        "SF1094: ingress 't/in': AWS's client cannot be made: Partial credentials found in env, "
        f"missing: AWS_SECRET_ACCESS_KEY{HINT}"
    )


def test_a_library_that_is_missing_is_named_with_how_to_get_it():
    program = """
import sys
from statefun_runtime.errors import ConfigError

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "aiobotocore":
            raise ModuleNotFoundError("No module named 'aiobotocore'")

sys.meta_path.insert(0, Missing())
try:
    import statefun_runtime.connectors.kinesis.clients
except ConfigError as error:
    print(error)
"""
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert printed == (
        "SF1090: a Kinesis component needs the library aiobotocore, which cannot be imported: "
        "No module named 'aiobotocore'\n"
        "hint: install it with: pip install 'statefun-runtime[kinesis]'\n"
    )


def test_a_worker_without_kinesis_does_not_import_its_library():
    program = "import sys, statefun_runtime.cli, statefun_runtime.app.life; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"aiobotocore", "botocore", "aiohttp"} & set(modules)


def test_errors_of_a_call_are_told_by_awss_name_for_them():
    refused = ClientError({"Error": {"Code": "Denied", "Message": "not you"}}, "PutRecords")
    assert (code_of(refused), words(refused)) == ("Denied", "Denied: not you")
    nobody = EndpointConnectionError(endpoint_url="https://k")
    assert (code_of(nobody), words(nobody)) == (
        "",
        'Could not connect to the endpoint URL: "https://k"',
    )
    assert words(TimeoutError()) == "TimeoutError"
