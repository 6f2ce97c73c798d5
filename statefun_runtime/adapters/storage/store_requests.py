"""Requests to an object store: each has an end, is made again for a while, and what failed is said without secrets.

    attempt ─▶ answer
       │  └──▶ "not there", "not allowed", "somebody else was first": final
       └─ no answer, 5xx, 503 SlowDown ─▶ a pause that doubles ─▶ attempt … ─▶ UnavailableError

obstore itself repeats single HTTP requests for a moment, which is how one part of a large upload is saved; around that
stands this, for conditional writes and deletions are not repeated there, and a store may be away for longer.
"""

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any, TypeVar

from statefun_runtime.core.checkpoints.store_url import StoreUrl
from statefun_runtime.errors import ConfigError, UnavailableError

log = logging.getLogger("statefun.checkpoints")

T = TypeVar("T")

_OS_ERROR = re.compile(r'kind: \w+,\s*message: "([^"\n]{1,100})"')
_STATUS = re.compile(r"status code: (\d{3}(?: [A-Za-z ]{1,40})?)")
_CODE = re.compile(r"<Code>([A-Za-z0-9._-]{1,60})</Code>")
# A server that waited for the request in vain (408, S3's RequestTimeout), was busy (409) or has too many (429) may be
# asked again.
_FINAL_STATUS = re.compile(r"status code: 4(?!08|09|29)\d\d")
_ASK_AGAIN = "<Code>RequestTimeout</Code>"
_METADATA = "169.254.169.254"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited: for a connection, for an answer to one request, and in all before a caller is told, or a start.

    A large body has more time than `request_s`: what it takes at `slowest_bytes_s`.
    """

    connect_s: float = 5.0
    request_s: float = 30.0
    total_s: float = 30.0
    start_s: float = 10.0
    pause_first_s: float = 0.2
    pause_max_s: float = 5.0
    slowest_bytes_s: float = 250_000.0


class Refused(Exception):
    """The store answered that this may not be done, or that there is no such bucket; trying again is no use."""


class Gone(Exception):
    """There is no such object."""


class Raced(Exception):
    """The object is not, or not any more, what a conditional write asked for."""


class StoreRequests:
    """Makes requests to the store of one URL; `options` are obstore's for this kind of store."""

    def __init__(self, url: StoreUrl, options: dict[str, Any], patience: Patience) -> None:
        self.obstore = _library()
        self.url = url
        self._patience = patience
        self._is_away = False
        self.store = self._open(options, repeats=3)
        # What such a write comes to must be seen, not what its own repetition finds.
        self.conditional = self._open(options, repeats=0)

    async def ask(
        self,
        what: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        size_bytes: int = 0,
        is_start: bool = False,
    ) -> T:
        """Return what an attempt gives, or raise Gone, Refused or Raced.

        Raise UnavailableError when the time is up in which it was made again.
        """
        patience, loop = self._patience, asyncio.get_running_loop()
        total_s = patience.start_s if is_start else patience.total_s
        ends_s, pause_s = loop.time() + total_s, patience.pause_first_s
        # More than a stuck connection takes: that is told by obstore, and says more.
        limit_s = 2 * patience.request_s + size_bytes / patience.slowest_bytes_s
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    answer = await attempt()
            except (self._errors.BaseError, FileNotFoundError, TimeoutError) as error:
                self._raise_if_final(error)
                why = words(error)
            else:
                self._told_back()
                return answer
            self._tell_away(what, why)
            pause = pause_s * (0.5 + random.random() / 2)
            if loop.time() + pause > ends_s:
                raise UnavailableError(
                    f"{what}: {self.url} gave no good answer for {total_s:g} s: {why}",
                    code="SF3043",
                )
            await asyncio.sleep(pause)
            pause_s = min(pause_s * 2, patience.pause_max_s)

    def refusal(self, what: str, error: Refused) -> UnavailableError:
        """Return what a caller is told of a store that does not let this be done."""
        return UnavailableError(f"{what}: {self.url} refuses it: {error}", code="SF3044")

    @property
    def _errors(self) -> Any:
        return self.obstore.exceptions

    def _raise_if_final(self, error: BaseException) -> None:
        errors = self._errors
        if isinstance(error, errors.PreconditionError | errors.AlreadyExistsError):
            raise Raced from error
        if isinstance(error, FileNotFoundError) and _is_missing_object(self.url, str(error)):
            raise Gone from error
        denied = (errors.PermissionDeniedError, errors.UnauthenticatedError, FileNotFoundError)
        is_final = _FINAL_STATUS.search(_head(error)) and _ASK_AGAIN not in str(error)
        if isinstance(error, denied) or is_final:
            raise Refused(words(error)) from error

    def _tell_away(self, what: str, why: str) -> None:
        if not self._is_away:
            self._is_away = True
            log.warning("%s: %s gives no good answer, it is asked again: %s", what, self.url, why)

    def _told_back(self) -> None:
        if self._is_away:
            self._is_away = False
            log.info("%s answers again", self.url)

    def _open(self, options: dict[str, Any], *, repeats: int) -> Any:
        patience = self._patience
        try:
            return self.obstore.store.from_url(
                f"{self.url.scheme}://{self.url.bucket}",
                client_options={
                    # An endpoint of the operator's own may have no certificate; requests are signed.
                    "allow_http": True,
                    "connect_timeout": timedelta(seconds=patience.connect_s),
                    "read_timeout": timedelta(seconds=patience.request_s),
                    "timeout": timedelta(hours=1),
                },
                retry_config={
                    "max_retries": repeats,
                    "retry_timeout": timedelta(seconds=patience.request_s),
                    "backoff": {
                        "init_backoff": timedelta(seconds=patience.pause_first_s),
                        "max_backoff": timedelta(seconds=patience.pause_max_s),
                    },
                },
                **options,
            )
        except (self._errors.BaseError, ValueError, OSError) as error:
            raise ConfigError(
                f"--checkpoints {self.url} cannot be used: {words(error)}",
                code="SF1080",
                hint="see docs/operations/object-stores.md for what each kind of store needs in the environment",
            ) from None


def _library() -> ModuleType:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError:
        raise ConfigError(
            "checkpoints in an object store need the package obstore, which is not installed",
            code="SF1081",
            hint="install it with: pip install 'statefun-runtime[s3]'",
        ) from None
    return obstore


def _is_missing_object(url: StoreUrl, text: str) -> bool:
    """A bucket that is not there, or a server that is none, has no objects either: S3 says which it is."""
    return url.scheme != "s3" or "<Code>NoSuchKey</Code>" in text or "performing HEAD" in text


def _head(error: BaseException) -> str:
    """Return what the library says before it prints all that it has, which is where signatures are."""
    return str(error).partition("\n\nDebug source")[0]


def words(error: BaseException) -> str:
    """Return what went wrong, of nothing but a status, a store's own code for it, and a word of the system's.

    Answers of stores repeat key ids and signatures of a request, and a URL may be one that anybody can use.
    """
    if isinstance(error, TimeoutError):
        return "no answer in time"
    head, text = _head(error), str(error)
    status, code = _STATUS.search(head), _CODE.search(head)
    found = [match[1].strip() for match in (status, code) if match is not None]
    if _METADATA in head:
        found.append("there are no credentials: the machine's own were asked for")
    elif not found and (system := _OS_ERROR.search(text)) is not None:
        found.append(system[1])
    elif not found and "dns error" in text:
        found.append("its name is not known")
    elif not found and ("TimedOut" in text or "timed out" in text):
        found.append("no answer in time")
    return ", ".join(found) or re.sub(r"\S*://\S*", "…", head.splitlines()[0])[:200]
