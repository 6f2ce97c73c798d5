"""The headers that an endpoint's requests carry because its module says so.

Values are secrets: no message has one.
"""

import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from statefun_runtime.adapters.http.changing_files import ChangingFiles
from statefun_runtime.core.module.specs import HeaderSpec
from statefun_runtime.errors import ConfigError

log = logging.getLogger("statefun.functions")

_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]+")


class Headers:
    """Names and values, ready to be sent.

    Raises ConfigError at once if a file cannot be used. A file that is replaced later is read again; if it cannot be
    used, this is logged once and its last value stays.
    """

    def __init__(
        self, specs: Sequence[HeaderSpec] = (), now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._specs = specs
        self._files = ChangingFiles([spec.file for spec in specs if spec.file], now_s)
        self.pairs = [(spec.name.lower().encode(), _value(spec)) for spec in specs]
        self.can_change = any(spec.file for spec in specs)

    @property
    def lines(self) -> bytes:
        """The headers as they stand in a request."""
        return b"".join(b"%b: %b\r\n" % pair for pair in self.pairs)

    def have_changed(self) -> bool:
        """Read files again that were replaced, and return whether there were any; looks at most once a second."""
        if not self._files.have_changed():
            return False
        for index, spec in enumerate(self._specs):
            if spec.file:
                try:
                    self.pairs[index] = (self.pairs[index][0], _value(spec))
                except ConfigError as error:
                    log.error("%s; its last value stays in use", error.line)
        return True


def _value(spec: HeaderSpec) -> bytes:
    if spec.file is None:
        assert spec.value is not None
        return spec.value.encode("latin-1")
    try:
        value = Path(spec.file).read_bytes().strip()
    except (OSError, ValueError) as error:
        text = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise _unusable(spec, f"{text[:1].lower()}{text[1:]}") from error
    if not value:
        raise _unusable(spec, "it is empty")
    if not _VALUE.fullmatch(value):
        raise _unusable(spec, "it has more than one line, or control characters")
    return value


def _unusable(spec: HeaderSpec, reason: str) -> ConfigError:
    return ConfigError(
        f"the file {spec.file!r} of header {spec.name!r} cannot be used: {reason}",
        code="SF1055",
        hint="the file holds the value alone, in one line",
    )
