"""A broker with passwords, certificates and rights: what most people run."""

from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.support.certificates import Authority
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.client import DEADLINE_S
from tests.support.sockets import free_port

USER, PASSWORD = "alice", 'sec"ret'
_MODULE = "org.apache.kafka.common.security"
_JAAS_PASSWORD = PASSWORD.replace('"', '\\"')
PLAIN_LOGIN = (
    f'{_MODULE}.plain.PlainLoginModule required username="{USER}" password="{_JAAS_PASSWORD}";'
)
SCRAM_LOGIN = (
    f'{_MODULE}.scram.ScramLoginModule required username="{USER}" password="{_JAAS_PASSWORD}";'
)
TOKEN_LOGIN = (
    f'{_MODULE}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="{USER}";'
)


_DENY_AND_ALLOW = (AclPermissionType.DENY, AclPermissionType.ALLOW)


class SecureBroker:
    """A broker with a listener per way to connect; `plain` is for the tests themselves, and may do anything."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.trusted = folder / "ca.pem"
        self.trusted.write_text(self.authority.pem)
        ports = {name: free_port() for name in ("SECURE", "MUTUAL", "EXPIRED")}
        self.secure, self.mutual, self.expired = (f"127.0.0.1:{port}" for port in ports.values())
        plain = free_port()
        self.plain = KafkaBroker(plain, settings=self._settings(plain, free_port(), ports))

    def _settings(self, plain: int, controller: int, ports: dict[str, int]) -> dict[str, str]:
        good = self.authority.issue("broker").write_pem(self.folder / "broker.pem")
        old = self.authority.issue("old", days=-1).write_pem(self.folder / "old.pem")
        secured = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
        listeners = f"PLAINTEXT://127.0.0.1:{plain},{secured}"
        users = f'user_{USER}="{_JAAS_PASSWORD}"'.replace("\\", "\\\\")
        plain_login = f"{_MODULE}.plain.PlainLoginModule required {users};"
        sasl = "listener.name.secure"
        return {
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "SECURE:SASL_SSL,MUTUAL:SSL,EXPIRED:SSL",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
            "auto.create.topics.enable": "false",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(good),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.trusted),
            "listener.name.expired.ssl.keystore.location": str(old),
            "listener.name.mutual.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            f"{sasl}.plain.sasl.jaas.config": plain_login,
            f"{sasl}.scram-sha-256.sasl.jaas.config": f"{_MODULE}.scram.ScramLoginModule required;",
            f"{sasl}.scram-sha-512.sasl.jaas.config": f"{_MODULE}.scram.ScramLoginModule required;",
            f"{sasl}.oauthbearer.sasl.jaas.config": f"{_MODULE}.oauthbearer.OAuthBearerLoginModule required;",
        }

    def start(self) -> "SecureBroker":
        self.plain.__enter__()
        self._add_scram_user()
        return self

    def _add_scram_user(self) -> None:
        admin = self.plain.client.admin()
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            change = UserScramCredentialUpsertion(
                USER, ScramCredentialInfo(mechanism, 4096), PASSWORD.encode()
            )
            for done in admin.alter_user_scram_credentials([change]).values():
                done.result(DEADLINE_S)

    def deny(
        self, operation: str, name: str, kind: ResourceType = ResourceType.TOPIC
    ) -> AclBinding:
        """Forbid the user something on a topic; `allow` takes it back."""
        literal = ResourcePatternType.LITERAL
        asked, all_, no, yes = AclOperation[operation], AclOperation.ALL, *_DENY_AND_ALLOW
        rule = AclBinding(kind, name, literal, f"User:{USER}", "*", asked, no)
        everyone = AclBinding(kind, name, literal, "User:*", "*", all_, yes)
        admin = self.plain.client.admin()
        for done in admin.create_acls([rule, everyone]).values():
            done.result(DEADLINE_S)
        return rule

    def allow(self, rule: AclBinding) -> None:
        given = AclBindingFilter(
            rule.restype,
            rule.name,
            rule.resource_pattern_type,
            rule.principal,
            rule.host,
            rule.operation,
            rule.permission_type,
        )
        admin = self.plain.client.admin()
        for done in admin.delete_acls([given]).values():
            done.result(DEADLINE_S)

    def close(self) -> None:
        self.plain.close()
