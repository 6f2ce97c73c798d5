"""What the environment and AWS's files say about S3."""

from pathlib import Path

import pytest

from statefun_runtime.adapters.storage.shared_credentials import SharedCredentials
from statefun_runtime.config.store_access import AwsAccess, read_aws_access
from statefun_runtime.errors import ConfigError, UnavailableError

KEYS = """\
[default]
aws_access_key_id = id-1
aws_secret_access_key = hush%1

[shop]
aws_access_key_id = id-2
aws_secret_access_key = hush-2
aws_session_token = hush-3
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(KEYS)
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\n[profile shop]\nregion = eu-west-2\n"
    )
    return tmp_path


def test_keys_of_the_environment_come_before_those_of_a_file(home: Path):
    env = {"HOME": str(home), "AWS_ACCESS_KEY_ID": "id", "AWS_REGION": "here"}
    assert read_aws_access(env) == AwsAccess(region="here")


def test_a_file_has_the_keys_and_the_region_of_a_profile(home: Path):
    keys_file = home / ".aws" / "credentials"
    assert read_aws_access({"HOME": str(home)}) == AwsAccess(
        region="eu-west-1", keys_file=keys_file
    )
    access = read_aws_access({"HOME": str(home), "AWS_PROFILE": "shop"})
    assert access == AwsAccess(region="eu-west-2", keys_file=keys_file, profile="shop")
    keys = SharedCredentials(keys_file, "shop")()
    assert (keys["access_key_id"], keys["secret_access_key"], keys["token"]) == (
        "id-2",
        "hush-2",
        "hush-3",
    )
    assert SharedCredentials(keys_file, "default")()["secret_access_key"] == "hush%1"


def test_a_file_that_changes_is_read_again(home: Path):
    keys_file = home / ".aws" / "credentials"
    keys = SharedCredentials(keys_file, "default")
    keys()
    keys_file.write_text(KEYS.replace("id-1", "id-9"))
    assert keys()["access_key_id"] == "id-9"
    keys_file.write_text("[default]\naws_secret_access_key = hush-4\n")
    with pytest.raises(UnavailableError) as told:
        keys()
    assert str(told.value) == f"SF3045: {keys_file} has no keys of profile 'default': KeyError"


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
def test_the_endpoint_has_several_names(name: str):
    access = read_aws_access({"HOME": "/nowhere", name: "http://s3.example:9000"})
    assert access == AwsAccess(endpoint="http://s3.example:9000")


def test_a_profile_that_is_asked_for_must_be_there(home: Path):
    with pytest.raises(ConfigError) as refusal:
        read_aws_access({"HOME": str(home), "AWS_PROFILE": "shp"})
    assert str(refusal.value) == (
        f"SF1032: AWS_PROFILE names profile 'shp', of which {home}/.aws/credentials has no aws_access_key_id\n"
        "hint: write its keys there, name another file in AWS_SHARED_CREDENTIALS_FILE, or set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY"
    )
