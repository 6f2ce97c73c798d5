"""Trust stores and key stores of each kind, made by Java itself where it is there; and contexts made of them."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from statefun_runtime.connectors.kafka.client.security import tls_context
from statefun_runtime.connectors.kafka.client.stores import StoreUnusable, read_store
from statefun_runtime.connectors.kafka.settings.security import Store, Tls
from statefun_runtime.errors import ConfigError
from tests.support.certificates import Authority

AUTHORITY = Authority()
ONE = AUTHORITY.issue("one")


def keytool(*arguments: str | Path) -> None:
    program = shutil.which("keytool")
    if program is None:
        pytest.skip("keytool is not on the PATH")
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True)


def file(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def java_store(folder: Path, kind: str) -> str:
    """Return a key store of a kind with the identity ONE, whose password is `of the store`."""
    source = file(folder, "source.p12", ONE.pkcs12("of the store"))
    target = folder / f"store.{kind}"
    passwords = ["-srcstorepass", "of the store", "-deststorepass", "of the store"]
    keytool(
        *("-importkeystore", "-srckeystore", source, "-srcstoretype", "PKCS12", *passwords),
        *("-destkeystore", target, "-deststoretype", kind, "-noprompt"),
    )
    return str(target)


def java_trust(folder: Path, kind: str) -> str:
    target = folder / f"trust.{kind}"
    certificate = file(folder, "ca.pem", AUTHORITY.pem)
    keytool(
        *("-importcert", "-noprompt", "-alias", "ca", "-file", certificate),
        *("-keystore", target, "-storetype", kind, "-storepass", "of the store"),
    )
    return str(target)


@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_what_java_wrote_is_read(tmp_path: Path, kind: str):
    content = read_store(Store(kind, java_store(tmp_path, kind), "of the store"))
    assert content.certificates == ONE.certificate_pem
    assert content.key == ONE.key_pem()

    trusted = read_store(Store(kind, java_trust(tmp_path, kind), "of the store"))
    assert (trusted.certificates, trusted.key) == (AUTHORITY.pem, "")


def test_a_trust_store_of_java_can_be_read_without_its_password(tmp_path: Path):
    assert read_store(Store("JKS", java_trust(tmp_path, "JKS"))).certificates == AUTHORITY.pem


def test_pkcs12_is_recognised_where_jks_is_declared(tmp_path: Path):
    location = file(tmp_path, "store", ONE.pkcs12("x"))
    assert read_store(Store("JKS", location, "x")).key == ONE.key_pem()


def test_pem_is_read_from_a_file_and_from_one_line():
    one_line = " ".join(ONE.certificate_pem.split("\n"))
    content = read_store(Store("PEM", certificates=one_line, key=ONE.key_pem()))
    assert (content.certificates, content.key) == (ONE.certificate_pem, ONE.key_pem())


@pytest.mark.parametrize(
    "identity",
    [
        Store("PEM", certificates=ONE.certificate_pem, key=ONE.key_pem()),
        Store("PEM", certificates=ONE.certificate_pem, key=ONE.key_pem("p"), key_password="p"),
    ],
    ids=["plain", "encrypted"],
)
def test_a_context_shows_the_identity_and_trusts_the_store_only(identity: Store):
    trust = Store("PEM", certificates=AUTHORITY.pem)
    context = tls_context(Tls(trust, identity), "egress 't/out'")
    assert len(context.get_ca_certs()) == 1
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_versions_ciphers_and_the_check_of_the_host_can_be_chosen():
    suites = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384")
    tls = Tls(is_host_checked=False, versions=("TLSv1.2",), cipher_suites=suites)
    context = tls_context(tls, "egress 't/out'")
    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version == context.maximum_version == ssl.TLSVersion.TLSv1_2
    names = [each["name"] for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]
    assert names == ["ECDHE-RSA-AES128-GCM-SHA256"]


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", "ECDHE-RSA-AES256-SHA384"),
        ("TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", "DHE-RSA-AES256-GCM-SHA384"),
        ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    ],
)
def test_cipher_suites_are_written_as_in_java(suite: str, name: str):
    context = tls_context(Tls(cipher_suites=(suite,)), "egress 't/out'")
    assert name in {each["name"] for each in context.get_ciphers()}


def test_cipher_suites_that_nobody_knows_are_refused():
    with pytest.raises(ConfigError) as refused:
        tls_context(Tls(cipher_suites=("TLS_KRB5_WITH_RC4_128_MD5",)), "egress 't/out'")
    assert str(refused.value) == (
        "SF1034: egress 't/out': none of the cipher suites TLS_KRB5_WITH_RC4_128_MD5 is known\n"
        "hint: write them like TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, or leave 'ssl.cipher.suites' out"
    )


def test_a_store_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path):
    def reason(store: Store) -> str:
        with pytest.raises(StoreUnusable) as refused:
            read_store(store)
        return str(refused.value)

    jks = java_store(tmp_path, "JKS")
    assert reason(Store("PEM", "/nowhere")) == "no such file or directory"
    assert reason(Store("JKS", jks, "other")) == "its password is wrong, or it is damaged"
    assert reason(Store("JKS", jks, "of the store", key_password="x")) == (
        "the password of its key is wrong"
    )
    cut = file(tmp_path, "cut.jks", Path(jks).read_bytes()[:200])
    assert reason(Store("JKS", cut)) == "it is damaged: it ends in the middle of an entry"
    p12 = file(tmp_path, "one.p12", ONE.pkcs12("x"))
    assert reason(Store("PKCS12", p12, "y")) == (
        "it is no PKCS12 or JKS file, or its password is wrong"
    )
    assert reason(Store("PEM", file(tmp_path, "x.pem", ONE.key_pem()))) == (
        "it holds no certificate in PEM"
    )
    assert reason(Store("JKS", file(tmp_path, "x.jceks", b"\xce\xce\xce\xce"))) == (
        "it is of type JCEKS, which is not supported"
    )


def test_an_unusable_store_is_a_problem_of_the_configuration(tmp_path: Path):
    with pytest.raises(ConfigError) as refused:
        tls_context(Tls(trust=Store("JKS", "/nowhere.jks")), "ingress 't/in'")
    assert str(refused.value) == (
        "SF1033: ingress 't/in': the truststore /nowhere.jks cannot be used: no such file or directory\n"
        "hint: see the properties 'ssl.truststore.…'; any store of Java becomes PKCS12 with: keytool "
        "-importkeystore -srckeystore OLD -destkeystore NEW.p12 -deststoretype PKCS12"
    )
    locked = Store("PEM", certificates=ONE.certificate_pem, key=ONE.key_pem("p"))
    with pytest.raises(ConfigError, match=r"the password of its key .* is missing or wrong"):
        tls_context(Tls(identity=locked), "ingress 't/in'")
    keyless = Store("PEM", file(tmp_path, "keyless.pem", ONE.certificate_pem))
    with pytest.raises(ConfigError, match="it holds no private key"):
        tls_context(Tls(identity=keyless), "ingress 't/in'")
