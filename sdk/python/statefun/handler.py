"""The request/reply handler: a ToFunction comes in, a FromFunction goes out."""

import asyncio

from google.protobuf.message import DecodeError

from statefun._wire import FromFunction, ToFunction
from statefun.address import SdkAddress
from statefun.arguments import refuse
from statefun.batch import BatchContext
from statefun.failures import OCTETS, Failures, Response
from statefun.functions import RegisteredFunction, StatefulFunctions
from statefun.message import Message
from statefun.value_spec import ValueSpec


class RequestReplyHandler:
    """Answers the requests of a runtime: a web server hands it bodies and sends back what it returns.

    `respond_async` and `respond_sync` give a whole response: when a function raises, one with the
    status 500, on which the runtime applies nothing of the batch and tries again. Its body is the
    exception's type and message, which the runtime shows its operator, and with
    `show_tracebacks=True` the whole traceback; it is logged here.

    `handle_async` and `handle_sync` give the body alone, and let the exception out.
    """

    def __init__(self, functions: StatefulFunctions, *, show_tracebacks: bool = False) -> None:
        if functions is None:
            raise ValueError("a handler needs the StatefulFunctions that it serves")
        if not hasattr(functions, "for_typename"):
            refuse(functions, "functions", "a handler", "StatefulFunctions")
        self.functions = functions
        self._failures = Failures(show_tracebacks=show_tracebacks)

    def respond_sync(self, request_bytes: bytes | bytearray | memoryview) -> Response:
        """Respond to a request where no event loop runs, whatever becomes of it."""
        try:
            return Response(200, OCTETS, self.handle_sync(request_bytes))
        except Exception as error:  # noqa: BLE001 — whatever a function raises
            return self._failures.respond(error)

    async def respond_async(self, request_bytes: bytes | bytearray | memoryview) -> Response:
        """Respond to a request, whatever becomes of it."""
        try:
            return Response(200, OCTETS, await self.handle_async(request_bytes))
        except Exception as error:  # noqa: BLE001 — whatever a function raises
            return self._failures.respond(error)

    def handle_sync(self, request_bytes: bytes | bytearray | memoryview) -> bytes:
        """Answer a request where no event loop runs; every call runs one of its own."""
        if _is_loop_running():
            raise RuntimeError("an event loop runs in this thread: await handle_async instead")
        return asyncio.run(self.handle_async(request_bytes))

    async def handle_async(self, request_bytes: bytes | bytearray | memoryview) -> bytes:
        """Answer a request; the invocations of its batch run one after another."""
        batch = _parse(request_bytes)
        target = batch.target
        typename = f"{target.namespace}/{target.type}"
        function = self.functions.for_typename(typename)
        received = {value.state_name: value.state_value for value in batch.state}
        missing = [spec for name, spec in function.specs.items() if name not in received]
        if missing:
            return _incomplete(missing)
        address = SdkAddress(target.namespace, target.type, target.id, typename)
        context = BatchContext(address, function.specs, received)
        await _invoke(function, context, batch)
        return context.response()


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _parse(request_bytes: bytes | bytearray | memoryview) -> ToFunction.InvocationBatchRequest:
    if not isinstance(request_bytes, (bytes, bytearray, memoryview)):
        raise TypeError(f"the request body must be bytes, not {type(request_bytes).__name__}")
    try:
        # Some versions of protobuf parse nothing but bytes, and those are not copied here.
        request = ToFunction.FromString(bytes(request_bytes))
    except DecodeError as error:
        raise DecodeError(f"the request body is not a ToFunction: {error}") from error
    if not request.HasField("invocation"):
        raise ValueError("the request holds no invocation batch; was its body lost on the way?")
    return request.invocation


async def _invoke(
    function: RegisteredFunction,
    context: BatchContext,
    batch: ToFunction.InvocationBatchRequest,
) -> None:
    typename, id_, fun = context.address.typename, context.address.id, function.fun
    for invocation in batch.invocations:
        message = Message(typename, id_, invocation.argument)
        context.begin(invocation)
        if function.is_async:
            await fun(context, message)
        else:
            fun(context, message)


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
