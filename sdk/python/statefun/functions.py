"""The functions that an endpoint serves."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from statefun.calls.arguments import text
from statefun.context import Context
from statefun.message import Message
from statefun.value_spec import ValueSpec
from statefun.values.typed_storage import TypedContext, check_storage

Function = Callable[[Context, Message], object]
F = TypeVar("F", bound=Function)
S = TypeVar("S")
R = TypeVar("R")
TypedFunction = Callable[[TypedContext[S], Message], R]


@dataclass(frozen=True, slots=True)
class RegisteredFunction:
    """A function with all that a request needs to know about it, found out once."""

    typename: str
    fun: Callable[[Context, Message], Any]
    is_async: bool
    specs: Mapping[str, ValueSpec]


class UnknownFunctionError(KeyError):
    """A request asks for a function type that is not registered here."""

    def __init__(self, typename: str, known: Iterable[str]) -> None:
        super().__init__(typename)
        self._known = ", ".join(known) or "none"

    def __str__(self) -> str:
        return f"no function is registered as {self.args[0]!r}; registered are: {self._known}"


class StatefulFunctions:
    """Function types and the functions behind them."""

    __slots__ = ("_functions",)

    def __init__(self) -> None:
        self._functions: dict[str, RegisteredFunction] = {}

    def register(
        self, typename: str, fun: Function, specs: Iterable[ValueSpec] | None = None
    ) -> None:
        """Serve a function, plain or async, as a function type; an earlier one of that type is replaced."""
        if fun is None:
            raise ValueError("a function is needed, with the arguments context and message")
        if typename is None or typename == "":
            raise ValueError(f"{_name(fun)} needs a typename, like 'com.example/user'")
        typename = text(typename, "typename", _name(fun))
        _check_arguments(typename, fun)
        self._functions[typename] = RegisteredFunction(
            typename=typename,
            fun=fun,
            is_async=_is_async(fun),
            specs=_by_name(typename, specs or ()),
        )

    @overload
    def bind(self, typename: str, specs: Iterable[ValueSpec] | None = None) -> Callable[[F], F]: ...
    @overload
    def bind(
        self, typename: str, specs: Iterable[ValueSpec], *, storage: type[S]
    ) -> Callable[[TypedFunction[S, R]], TypedFunction[S, R]]: ...
    def bind(
        self,
        typename: str,
        specs: Iterable[ValueSpec] | None = None,
        *,
        storage: type[Any] | None = None,
    ) -> Callable[[Any], Any]:
        """Register the decorated function, and leave it as it is; `storage` is held against the specs."""
        if callable(typename):
            raise TypeError("bind needs a typename: write @functions.bind('com.example/user')")

        def decorate(fun: F) -> F:
            self.register(typename, fun, specs)
            if storage is not None:
                check_storage(typename, storage, self._functions[typename].specs)
            return fun

        return decorate

    @property
    def typenames(self) -> list[str]:
        """The function types, in the order in which they were registered."""
        return list(self._functions)

    def for_typename(self, typename: str) -> RegisteredFunction:
        try:
            return self._functions[typename]
        except KeyError:
            raise UnknownFunctionError(typename, self._functions) from None


def _check_arguments(typename: str, fun: Function) -> None:
    if not callable(fun):
        raise TypeError(f"function {typename!r} must be callable, not {fun!r}")
    # A decorator's wrapper is what gets called, so its own arguments count.
    parameters = inspect.signature(fun, follow_wrapped=False).parameters.values()
    positional = [
        parameter.name
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(positional) != 2:
        raise ValueError(
            f"function {typename!r} ({_name(fun)}) must take exactly two arguments, context and "
            f"message, but takes ({', '.join(positional)})"
        )


def _is_async(fun: Callable[..., Any]) -> bool:
    call = type(fun).__call__
    return inspect.iscoroutinefunction(fun) or inspect.iscoroutinefunction(call)


def _by_name(typename: str, specs: Iterable[ValueSpec]) -> dict[str, ValueSpec]:
    if isinstance(specs, ValueSpec):
        raise TypeError(f"the specs of function {typename!r} must be a list of ValueSpecs, not one")
    by_name: dict[str, ValueSpec] = {}
    for spec in specs:
        if not isinstance(spec, ValueSpec):
            raise TypeError(f"the specs of function {typename!r} must be ValueSpecs, not {spec!r}")
        if spec.name in by_name:
            raise ValueError(f"function {typename!r} has two ValueSpecs named {spec.name!r}")
        by_name[spec.name] = spec
    return by_name


def _name(fun: object) -> str:
    return getattr(fun, "__qualname__", None) or repr(fun)
