"""How a Kafka client proves who it is, and whom it trusts: read from the properties of the Java client.

What does not fit together is a Defect, which names the property it is about and never holds a secret.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from statefun_runtime.connectors.kafka.settings.jaas import FORM, Login, parse_login

PROTOCOL, MECHANISM, JAAS = "security.protocol", "sasl.mechanism", "sasl.jaas.config"
TOKEN_URL = "sasl.oauthbearer.token.endpoint.url"
IDENTIFICATION = "ssl.endpoint.identification.algorithm"
MECHANISMS = {
    "PLAIN": "PlainLoginModule",
    "SCRAM-SHA-256": "ScramLoginModule",
    "SCRAM-SHA-512": "ScramLoginModule",
    "OAUTHBEARER": "OAuthBearerLoginModule",
}
_CREDENTIALS = "sasl.oauthbearer.client.credentials."
_EXTENSION, _CLAIM = "extension_", "unsecuredLoginStringClaim_"


@dataclass(frozen=True, slots=True)
class Defect:
    """What is wrong with a property; not `is_error`: it can be used, but may not be meant."""

    name: str
    message: str
    hint: str | None = None
    is_error: bool = True


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """A user and a password, for PLAIN and SCRAM."""

    mechanism: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """Tokens from an endpoint, fetched with client credentials; `tls` holds `ssl.…` properties of that endpoint."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None
    extensions: tuple[tuple[str, str], ...] = ()
    trust: "Store | None" = None


@dataclass(frozen=True, slots=True)
class UnsecuredLogin:
    """A token that nobody has signed, for brokers under development."""

    claims: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Store:
    """Certificates, and perhaps a key: in a file at `location`, or as PEM texts."""

    type: str
    location: str | None = None
    password: str | None = field(default=None, repr=False)
    certificates: str | None = None
    key: str | None = field(default=None, repr=False)
    key_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Tls:
    """The properties `ssl.…`, each as it is written."""

    trust: Store | None = None
    identity: Store | None = None
    is_host_checked: bool = True
    versions: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()


SaslLogin = PasswordLogin | TokenLogin | UnsecuredLogin


@dataclass(frozen=True, slots=True)
class Security:
    """How to connect: without `login` no SASL, without `tls` no TLS."""

    login: SaslLogin | None = None
    tls: Tls | None = None

    @property
    def protocol(self) -> str:
        """As Kafka calls it."""
        if self.login is None:
            return "PLAINTEXT" if self.tls is None else "SSL"
        return "SASL_PLAINTEXT" if self.tls is None else "SASL_SSL"


def read_security(properties: Mapping[str, str]) -> tuple[Security, tuple[Defect, ...]]:
    """Return how to connect, and what is wrong with the properties that say so."""
    protocol = properties.get(PROTOCOL, "PLAINTEXT").upper()
    defects: list[Defect] = []
    login = None
    if protocol.startswith("SASL_"):
        login = _read_login(properties, defects)
        if isinstance(login, PasswordLogin) and (protocol, login.mechanism) == (
            "SASL_PLAINTEXT",
            "PLAIN",
        ):
            message = "user and password go over the network as clear text"
            defects.append(Defect(PROTOCOL, message, "use SASL_SSL", is_error=False))
    else:
        defects += _without_effect(properties, "sasl.", f"without SASL in {PROTOCOL!r}")
    tls = None
    if protocol.endswith("SSL"):
        tls = _read_tls(properties, defects)
    else:
        defects += _without_effect(properties, "ssl.", f"without TLS in {PROTOCOL!r}")
    return Security(login, tls), tuple(defects)


def _without_effect(properties: Mapping[str, str], prefix: str, why: str) -> Iterator[Defect]:
    for name in properties:
        if name.startswith(prefix):
            yield Defect(name, f"property {name!r} has no effect {why}", is_error=False)


# ── SASL ──


def _read_login(properties: Mapping[str, str], defects: list[Defect]) -> SaslLogin | None:
    mechanism = properties.get(MECHANISM, "GSSAPI").upper()
    if mechanism not in MECHANISMS:
        defects.append(_unknown_mechanism(mechanism, is_there=MECHANISM in properties))
        return None
    if JAAS not in properties:
        if mechanism == "OAUTHBEARER" and f"{_CREDENTIALS}client.id" in properties:
            return _read_token_login(properties, {}, defects)
        defects.append(Defect(MECHANISM, f"{mechanism} needs the property {JAAS!r}", FORM))
        return None
    try:
        login = parse_login(properties[JAAS])
    except ValueError as error:
        defects.append(Defect(JAAS, f"{JAAS!r} cannot be read: {error}", FORM))
        return None
    if login.module != MECHANISMS[mechanism]:
        has = login.module if login.module.endswith("LoginModule") else "something else"
        message = f"{mechanism} needs a {MECHANISMS[mechanism]}, {JAAS!r} has a {has}"
        defects.append(Defect(JAAS, message))
        return None
    if mechanism == "OAUTHBEARER":
        return _read_token_login(properties, login.options, defects)
    return _read_password_login(mechanism, login, defects)


def _unknown_mechanism(mechanism: str, *, is_there: bool) -> Defect:
    hint = f"use one of {', '.join(MECHANISMS)}"
    if mechanism == "GSSAPI":
        message = "Kerberos (GSSAPI) is not supported"
        if not is_there:
            message = (
                f"without {MECHANISM!r} the mechanism is Kerberos (GSSAPI), which is not supported"
            )
    else:
        message = f"the SASL mechanism {mechanism!r} is not supported"
    return Defect(MECHANISM if is_there else PROTOCOL, message, hint)


def _read_password_login(
    mechanism: str, login: Login, defects: list[Defect]
) -> PasswordLogin | None:
    missing = [name for name in ("username", "password") if not login.options.get(name)]
    if missing:
        message = f"{login.module} in {JAAS!r} lacks the option {missing[0]!r}"
        defects.append(Defect(JAAS, message, FORM))
        return None
    if login.options.get("tokenauth", "false").lower() == "true":
        defects.append(Defect(JAAS, "delegation tokens ('tokenauth') are not supported"))
        return None
    return PasswordLogin(mechanism, login.options["username"], login.options["password"])


def _read_token_login(
    properties: Mapping[str, str], options: Mapping[str, str], defects: list[Defect]
) -> TokenLogin | UnsecuredLogin | None:
    url = properties.get(TOKEN_URL)
    if url is None:
        return _read_unsecured(options, defects)
    if not url.startswith(("https://", "http://")):
        defects.append(Defect(TOKEN_URL, f"{url!r} is not an http or https URL"))
        return None
    client_id = properties.get(f"{_CREDENTIALS}client.id") or options.get("clientId")
    secret = properties.get(f"{_CREDENTIALS}client.secret") or options.get("clientSecret")
    for name, found in (("clientId", client_id), ("clientSecret", secret)):
        if not found:
            hint = (
                'write it like \'… OAuthBearerLoginModule required clientId="…" clientSecret="…";\''
            )
            name_at = JAAS if JAAS in properties else TOKEN_URL
            defects.append(Defect(name_at, f"a token endpoint needs the option {name!r}", hint))
            return None
    return TokenLogin(
        url,
        client_id or "",
        secret or "",
        properties.get("sasl.oauthbearer.scope") or options.get("scope"),
        tuple(
            (k.removeprefix(_EXTENSION), v) for k, v in options.items() if k.startswith(_EXTENSION)
        ),
        _read_store(options, "truststore"),
    )


def _read_unsecured(options: Mapping[str, str], defects: list[Defect]) -> UnsecuredLogin | None:
    claims = tuple((k.removeprefix(_CLAIM), v) for k, v in options.items() if k.startswith(_CLAIM))
    if not dict(claims).get("sub"):
        message = f"OAUTHBEARER needs the property {TOKEN_URL!r}"
        defects.append(Defect(MECHANISM, message))
        return None
    message = "the token is not signed: anybody can have it; for brokers under development only"
    defects.append(Defect(JAAS, message, is_error=False))
    return UnsecuredLogin(claims)


# ── TLS ──


def _read_tls(properties: Mapping[str, str], defects: list[Defect]) -> Tls:
    is_host_checked = properties.get(IDENTIFICATION, "https") != ""
    if not is_host_checked:
        message = "host names in certificates are not checked: whoever has any trusted certificate can be the broker"
        defects.append(Defect(IDENTIFICATION, message, is_error=False))
    for kind in ("truststore", "keystore"):
        _check_store(properties, kind, defects)
    newest = properties.get("ssl.protocol", "TLS")
    enabled = _words(properties.get("ssl.enabled.protocols", ""))
    for version in enabled:
        if version not in ("TLSv1.2", "TLSv1.3"):
            message = f"{version!r} is not one of TLSv1.2, TLSv1.3"
            defects.append(Defect("ssl.enabled.protocols", message))
    return Tls(
        trust=_read_store(properties, "truststore"),
        identity=_read_store(properties, "keystore"),
        is_host_checked=is_host_checked,
        versions=enabled or (("TLSv1.2",) if newest == "TLSv1.2" else ()),
        cipher_suites=_words(properties.get("ssl.cipher.suites", "")),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for each in text.split(",") if (word := each.strip()))


def _read_store(properties: Mapping[str, str], kind: str) -> Store | None:
    """Return the trust store or the key store; `None` if neither a file nor texts are there."""
    prefix = f"ssl.{kind}."
    content = "certificates" if kind == "truststore" else "certificate.chain"
    store = Store(
        properties.get(f"{prefix}type", "JKS").upper(),
        properties.get(f"{prefix}location"),
        properties.get(f"{prefix}password"),
        properties.get(prefix + content),
        properties.get("ssl.keystore.key") if kind == "keystore" else None,
        properties.get("ssl.key.password") if kind == "keystore" else None,
    )
    return store if store.location or store.certificates or store.key else None


def _check_store(properties: Mapping[str, str], kind: str, defects: list[Defect]) -> None:
    prefix = f"ssl.{kind}."
    type_name = f"{prefix}type"
    if properties.get(type_name, "JKS").upper() not in ("JKS", "PKCS12", "PEM"):
        message = f"a {kind} of type {properties[type_name]!r} is not supported"
        defects.append(Defect(type_name, message, "use one of PEM, PKCS12, JKS"))
    if kind == "keystore":
        chain, key = f"{prefix}certificate.chain", f"{prefix}key"
        if (chain in properties) != (key in properties):
            there, missing = (chain, key) if chain in properties else (key, chain)
            defects.append(Defect(there, f"{there!r} needs the property {missing!r}"))
