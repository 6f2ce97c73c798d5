"""The request/reply handler: a ToFunction comes in, a FromFunction goes out."""

import asyncio
import math
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from statefun._wire import FromFunction
from statefun.calls.arguments import integer, refuse
from statefun.calls.batch import BatchContext
from statefun.calls.bundle_run import BundleRun
from statefun.calls.bundles import BUNDLE, OFFER, is_bundle
from statefun.calls.failures import OCTETS, RAISED, Failures, Response
from statefun.calls.requests import Body, Invocation, RequestReader
from statefun.functions import RegisteredFunction, StatefulFunctions
from statefun.message import Message
from statefun.value_spec import ValueSpec

# For so long plain functions of a bundle run before the loop has its turn.
TURN_S = 0.005


class RequestReplyHandler:
    """Answers the requests of a runtime: a web server hands it bodies and sends back what it returns.

    `respond_async` and `respond_sync` give a whole response: when a function raises, one with the
    status 500, on which the runtime applies nothing of the batch and tries again. Its body is the
    exception's type and message, which the runtime shows its operator, and with
    `show_tracebacks=True` the whole traceback; it is logged here.

    With the request's content type they also take bundles, the batches of many addresses in one
    request, if the response's headers are sent as well: they offer that.

    `handle_async` and `handle_sync` give the body alone, and let the exception out.

    Plain functions run where they are called, or with `sync_threads` in so many threads beside each
    other, so that one which blocks does not stop the others.
    """

    def __init__(
        self,
        functions: StatefulFunctions,
        *,
        show_tracebacks: bool = False,
        sync_threads: int = 0,
    ) -> None:
        if functions is None:
            raise ValueError("a handler needs the StatefulFunctions that it serves")
        if not hasattr(functions, "for_typename"):
            refuse(functions, "functions", "a handler", "StatefulFunctions")
        self.functions = functions
        self._reader = RequestReader()
        self.failures = Failures(show_tracebacks=show_tracebacks)
        self._threads = (
            ThreadPoolExecutor(integer(sync_threads, "sync_threads", "a handler", low=1, bits=32))
            if sync_threads
            else None
        )

    def respond_sync(self, request_bytes: Body, content_type: str | None = None) -> Response:
        """Respond to a request where no event loop runs, whatever becomes of it."""
        _refuse_in_a_loop("respond_async")
        if is_bundle(content_type):
            return self._respond_to_bundle_sync(request_bytes)
        try:
            body = self.handle_sync(request_bytes)
        except RAISED as error:
            return self.failures.respond(error)
        return Response(200, OCTETS, body, {} if content_type is None else OFFER)

    def _respond_to_bundle_sync(self, request_bytes: Body) -> Response:
        parts: list[bytes] = []
        waiting: list[Coroutine[Any, Any, None]] = []
        try:
            run = BundleRun(self, bytes(request_bytes), parts.append)
        except ValueError as error:
            return Response(400, "text/plain", str(error).encode())
        run.begin(waiting.append, turn_s=math.inf)
        if waiting:
            asyncio.run(_run_all(waiting))
            run.flush()
        return Response(200, BUNDLE, b"".join(parts))

    async def respond_async(self, request_bytes: Body, content_type: str | None = None) -> Response:
        """Respond to a request, whatever becomes of it."""
        if is_bundle(content_type):
            return await self._respond_to_bundle(request_bytes)
        try:
            body = await self.handle_async(request_bytes)
        except RAISED as error:
            return self.failures.respond(error)
        return Response(200, OCTETS, body, {} if content_type is None else OFFER)

    async def _respond_to_bundle(self, request_bytes: Body) -> Response:
        parts: list[bytes] = []
        try:
            run = BundleRun(self, bytes(request_bytes), parts.append)
        except ValueError as error:
            return Response(400, "text/plain", str(error).encode())
        async with asyncio.TaskGroup() as tasks:
            while not run.begin(tasks.create_task, turn_s=TURN_S):  # noqa: ASYNC110
                await asyncio.sleep(0)
        run.flush()
        return Response(200, BUNDLE, b"".join(parts))

    def handle_sync(self, request_bytes: Body) -> bytes:
        """Answer a request where no event loop runs; an async function has one of its own for each call."""
        _refuse_in_a_loop("handle_async")
        call = self.call_for(request_bytes)
        if isinstance(call, bytes):
            return call
        if call.may_wait:
            asyncio.run(call.run_waiting())
        else:
            call.run()
        return call.context.response()

    async def handle_async(self, request_bytes: Body) -> bytes:
        """Answer a request; the invocations of its batch run one after another."""
        call = self.call_for(request_bytes)
        if isinstance(call, bytes):
            return call
        if call.may_wait:
            await call.run_waiting()
        else:
            call.run()
        return call.context.response()

    def call_for(self, request_bytes: Body) -> "Call | bytes":
        """Return what a request asks to be called, or the answer to it if nothing can be called yet."""
        namespace, name, typename, id_, states, invocations = self._reader.read(request_bytes)
        function = self.functions.for_typename(typename)
        for state in function.specs:
            if state not in states:
                return _incomplete([s for s in function.specs.values() if s.name not in states])
        context = BatchContext(namespace, name, typename, id_, function.specs, states)
        return Call(function, context, typename, id_, invocations, self._threads)


class Call:
    """The invocations of one batch, about to run one after another; `may_wait` says how."""

    __slots__ = ("_function", "_id", "_invocations", "_threads", "_typename", "context", "may_wait")

    def __init__(
        self,
        function: RegisteredFunction,
        context: BatchContext,
        typename: str,
        id_: str,
        invocations: list[Invocation],
        threads: ThreadPoolExecutor | None,
    ) -> None:
        self._function = function
        self.context = context
        self._typename = typename
        self._id = id_
        self._invocations = invocations
        self._threads = threads
        self.may_wait = function.is_async or threads is not None

    def run(self) -> None:
        """Run them now."""
        context, fun = self.context, self._function.fun
        typename, id_ = self._typename, self._id
        for invocation in self._invocations:
            message = Message.made(typename, id_, invocation.typename, invocation.data)
            context.begin(invocation)
            fun(context, message)

    async def run_waiting(self) -> None:
        """Run them, and let others run meanwhile."""
        if not self._function.is_async:
            await asyncio.get_running_loop().run_in_executor(self._threads, self.run)
            return
        context, fun = self.context, self._function.fun
        typename, id_ = self._typename, self._id
        for invocation in self._invocations:
            message = Message.made(typename, id_, invocation.typename, invocation.data)
            context.begin(invocation)
            await fun(context, message)


def _refuse_in_a_loop(instead: str) -> None:
    if _is_loop_running():
        raise RuntimeError(f"an event loop runs in this thread: await {instead} instead")


async def _run_all(work: list[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for each in work:
            tasks.create_task(each)


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _incomplete(missing: list[ValueSpec]) -> bytes:
    response = FromFunction()
    values = response.incomplete_invocation_context.missing_values
    for spec in missing:
        values.add(
            state_name=spec.name,
            expiration_spec=_expiration(spec),
            type_typename=spec.type.typename,
        )
    return response.SerializeToString()


def _expiration(spec: ValueSpec) -> FromFunction.ExpirationSpec:
    modes = FromFunction.ExpirationSpec
    if spec.after_call:
        return modes(mode=modes.AFTER_INVOKE, expire_after_millis=spec.duration)
    if spec.after_write:
        return modes(mode=modes.AFTER_WRITE, expire_after_millis=spec.duration)
    return modes()
