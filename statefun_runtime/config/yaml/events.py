"""PyYAML's events, with its complaints turned into problems that have a position."""

from collections.abc import Callable
from typing import Any

import yaml

from statefun_runtime.config.problems import Code, Place, Problem, Source


class StoppedError(Exception):
    """The file cannot be read further."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Events:
    """PyYAML's events one by one; its complaints become problems with a position."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._loader: Any = None
        self._loader = self._guarded(lambda: yaml.SafeLoader(source.text))

    def peek(self) -> yaml.Event:
        event: yaml.Event = self._guarded(lambda: self._loader.peek_event())
        return event

    def take(self) -> yaml.Event:
        event: yaml.Event = self._guarded(lambda: self._loader.get_event())
        return event

    def _guarded(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except yaml.reader.ReaderError as error:
            raise StoppedError(_unprintable(self._source, error)) from error
        except yaml.MarkedYAMLError as error:
            raise StoppedError(_syntax_error(self._source, error)) from error
        except (ValueError, OverflowError) as error:
            # PyYAML lets these out for escapes and version numbers that are out of every range.
            place = mark_place(self._loader.get_mark())
            message = "not valid YAML: a number in an escape or a directive is out of range"
            problem = self._source.problem(place, Code.NOT_YAML, message)
            raise StoppedError(problem) from error


def _unprintable(source: Source, error: yaml.reader.ReaderError) -> Problem:
    message = f"not valid YAML: the character U+{int(error.character):04X} is not allowed"
    return source.problem(source.place(error.position), Code.NOT_YAML, message)


def _syntax_error(source: Source, error: yaml.MarkedYAMLError) -> Problem:
    place = mark_place(error.problem_mark or error.context_mark)
    message = f"not valid YAML: {error.problem or error.context}"
    if error.context_mark is not None and mark_place(error.context_mark) != place:
        start = mark_place(error.context_mark)
        message += f", {error.context} that begins at {source.at(start)}"
    hint = "indent with spaces, not with tabs" if "'\\t'" in message else None
    return source.problem(place, Code.NOT_YAML, message, hint=hint)


def mark_place(mark: Any) -> Place:
    """Return the place of one of PyYAML's marks."""
    if mark is None:
        return Place(1, 1)
    return Place(mark.line + 1, mark.column + 1)
