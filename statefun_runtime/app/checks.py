"""Tries everything outside that a module needs: endpoints, their certificates, clusters and topics."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from statefun_runtime.adapters.http.certificates import pem_validities
from statefun_runtime.adapters.http.probe import Destination, Reached, reach, why_not
from statefun_runtime.adapters.http.tls import client_context
from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.app.embedded import Embedded
from statefun_runtime.core.module.checks import Attempt, Check
from statefun_runtime.core.module.endpoint_url import EndpointUrl
from statefun_runtime.core.module.specs import EndpointSpec, TlsSpec
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.module import ModuleSpec

_NAME = "{function.name}"
_ENDS_SOON = timedelta(days=14)


async def check_connections(module: ModuleSpec, *, timeout_s: float) -> list[Check]:
    """Return a check for each component that needs something outside, none of which takes longer than the timeout."""
    subjects = list(_attempts(module))
    checks: list[Check | None] = [None] * len(subjects)

    async def run(index: int, subject: str, attempt: Attempt) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                checks[index] = await attempt()
        except TimeoutError:
            checks[index] = Check(subject, False, f"no answer within {timeout_s:g}s")

    async with asyncio.TaskGroup() as tasks:
        for index, (subject, attempt) in enumerate(subjects):
            tasks.create_task(run(index, subject, attempt))
    return [check for check in checks if check is not None]


def _attempts(module: ModuleSpec) -> Iterator[tuple[str, Attempt]]:
    for endpoint in module.endpoints:
        yield from _endpoint_attempts(endpoint, module)
    for ingress in module.ingresses:
        yield from ingress.checks()
    for egress in module.egresses:
        yield from egress.checks()


def _endpoint_attempts(endpoint: EndpointSpec, module: ModuleSpec) -> Iterator[tuple[str, Attempt]]:
    if endpoint.program is not None:
        subject = f"functions {endpoint.pattern} of {endpoint.program.name}"
        yield subject, _program_attempt(subject, endpoint, module)
        return
    tls = endpoint.transport.tls
    for field, location in (
        ("trust_cacerts", tls.trust_cacerts),
        ("client_cert", tls.client_cert),
    ):
        if location is not None:
            subject = f"{field} {location} of endpoint {endpoint.pattern}"
            yield subject, _certificate_attempt(subject, location)
    if tls.client_key is not None and tls.client_cert is not None:
        subject = f"client_key {tls.client_key} of endpoint {endpoint.pattern}"
        yield subject, _key_attempt(subject, tls)
    urls = _urls(endpoint, module)
    if not urls:
        subject = f"endpoint {endpoint.pattern} at {endpoint.url_template}"
        yield subject, _untried(subject, "its host is that of a function, and no ingress names one")
    for url in urls:
        subject = f"endpoint {endpoint.pattern} at {url}"
        yield subject, _endpoint_attempt(subject, url, tls)


def _urls(endpoint: EndpointSpec, module: ModuleSpec) -> list[str]:
    """Return the URL of an endpoint, or one for each known function if the host depends on the function."""
    template = endpoint.url_template
    if _NAME not in urlsplit(template).netloc:
        return [template]
    if endpoint.pattern.name is not None:
        return [template.replace(_NAME, endpoint.pattern.name)]
    names = {
        target.name
        for ingress in module.ingresses
        for target in ingress.targets
        if module.endpoint_for(target) is endpoint
    }
    return [template.replace(_NAME, name) for name in sorted(names)]


def _destination(url: str) -> Destination:
    parsed = EndpointUrl.parse(url)
    return Destination(parsed.host, parsed.port, parsed.socket)


def _endpoint_attempt(subject: str, url: str, tls: TlsSpec) -> Attempt:
    async def attempt() -> Check:
        try:
            context = client_context(tls) if url.startswith("https:") else None
            reached = await reach(_destination(url), context)
        except ConfigError as error:
            return Check(subject, False, error.message, error.hint)
        except TimeoutError:
            raise
        except OSError as error:
            return Check(
                subject, False, why_not(error), "start it, or mend its URL or certificates"
            )
        return Check(subject, True, _told(reached))

    return attempt


def _program_attempt(subject: str, endpoint: EndpointSpec, module: ModuleSpec) -> Attempt:
    """Run one process of it, for as long as it takes to say what it serves."""
    assert endpoint.program is not None
    program = replace(endpoint.program, processes=1)
    endpoints = tuple(
        replace(each, program=program if each is endpoint else None) for each in module.endpoints
    )

    async def attempt() -> Check:
        with tempfile.TemporaryDirectory(prefix="statefun-") as folder:
            async with asyncio.TaskGroup() as tasks:
                alone = replace(module, endpoints=endpoints)
                try:
                    async with Embedded(alone, tasks.create_task, Path(folder)):
                        return Check(subject, True, "can be served")
                except ConfigError as error:
                    return Check(subject, False, error.message, error.hint)

    return attempt


def _untried(subject: str, why: str) -> Attempt:
    async def attempt() -> Check:
        return Check(subject, True, f"not tried: {why}")

    return attempt


def _key_attempt(subject: str, tls: TlsSpec) -> Attempt:
    async def attempt() -> Check:
        try:
            client_context(tls)
        except ConfigError as error:
            return Check(subject, False, error.message, error.hint)
        return Check(subject, True, "fits the certificate")

    return attempt


def _told(reached: Reached) -> str:
    text = f"connected in {reached.seconds * 1000:.0f} ms"
    if reached.certificate_end is None:
        return text
    return f"{text}, its certificate ends on {reached.certificate_end:%Y-%m-%d}"


def _certificate_attempt(subject: str, location: str) -> Attempt:
    async def attempt() -> Check:
        now = datetime.now(UTC)
        try:
            validities = pem_validities(await in_a_thread(Path(location).read_text))
        except OSError as error:
            reason = (error.strerror or "").lower()
            return Check(subject, False, f"cannot be read: {reason}", "mount it, or mend the path")
        except ValueError:
            return Check(subject, False, "holds no readable certificate", "it must be PEM")
        if not validities:
            return Check(subject, False, "holds no certificate", "it must be PEM")
        end = min(each.end for each in validities)
        if end <= now:
            return Check(subject, False, f"has ended on {end:%Y-%m-%d}", "renew it")
        begin = max(each.begin for each in validities)
        if begin > now:
            return Check(subject, False, f"only begins on {begin:%Y-%m-%d}", "look at the clocks")
        soon = ", which is soon" if end - now < _ENDS_SOON else ""
        count = len(validities)
        many = "" if count == 1 else f"{count} certificates, the first "
        return Check(subject, True, f"{many}ends on {end:%Y-%m-%d}{soon}")

    return attempt
