"""Keeps the values of placeholders out of what a command prints."""

import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO, cast

from statefun_runtime.config.reading.secrets import Mask, MaskedStream
from statefun_runtime.errors import StatefunError


@contextmanager
def hiding(secrets: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Mask what is printed meanwhile, and the errors that come out of it.

    Who logs must have been given its stream in here.
    """
    mask = Mask(secrets)
    output = cast(TextIO, MaskedStream(sys.stdout, mask))
    errors = cast(TextIO, MaskedStream(sys.stderr, mask))
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            yield
        except StatefunError as error:
            error.message = mask.apply(error.message)
            error.hint = mask.apply(error.hint) if error.hint else error.hint
            raise
        except BrokenPipeError:
            raise
        except Exception:  # noqa: BLE001
            # Python would print it when the streams are bare again.
            traceback.print_exc()
            raise SystemExit(1) from None
