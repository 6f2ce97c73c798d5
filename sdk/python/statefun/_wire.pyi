from collections.abc import Iterator
from typing import ClassVar, Generic, SupportsIndex, TypeVar

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

_M = TypeVar("_M", bound=Message)

POOL: DescriptorPool

class _Repeated(Generic[_M]):
    def add(self, **fields: object) -> _M: ...
    def __iter__(self) -> Iterator[_M]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: SupportsIndex) -> _M: ...

class Address(Message):
    namespace: str
    type: str
    id: str
    def __init__(self, *, namespace: str = ..., type: str = ..., id: str = ...) -> None: ...

class TypedValue(Message):
    typename: str
    has_value: bool
    value: bytes
    def __init__(
        self, *, typename: str = ..., has_value: bool = ..., value: bytes = ...
    ) -> None: ...

class ToFunction(Message):
    class PersistedValue(Message):
        state_name: str
        @property
        def state_value(self) -> TypedValue: ...

    class Invocation(Message):
        @property
        def caller(self) -> Address: ...
        @property
        def argument(self) -> TypedValue: ...

    class InvocationBatchRequest(Message):
        @property
        def target(self) -> Address: ...
        @property
        def state(self) -> _Repeated[ToFunction.PersistedValue]: ...
        @property
        def invocations(self) -> _Repeated[ToFunction.Invocation]: ...

    @property
    def invocation(self) -> ToFunction.InvocationBatchRequest: ...

class FromFunction(Message):
    class PersistedValueMutation(Message):
        DELETE: ClassVar[int]
        MODIFY: ClassVar[int]
        mutation_type: int
        state_name: str
        @property
        def state_value(self) -> TypedValue: ...

    class Invocation(Message):
        @property
        def target(self) -> Address: ...
        @property
        def argument(self) -> TypedValue: ...

    class DelayedInvocation(Message):
        delay_in_ms: int
        is_cancellation_request: bool
        cancellation_token: str
        @property
        def target(self) -> Address: ...
        @property
        def argument(self) -> TypedValue: ...

    class EgressMessage(Message):
        egress_namespace: str
        egress_type: str
        @property
        def argument(self) -> TypedValue: ...

    class InvocationResponse(Message):
        @property
        def state_mutations(self) -> _Repeated[FromFunction.PersistedValueMutation]: ...
        @property
        def outgoing_messages(self) -> _Repeated[FromFunction.Invocation]: ...
        @property
        def delayed_invocations(self) -> _Repeated[FromFunction.DelayedInvocation]: ...
        @property
        def outgoing_egresses(self) -> _Repeated[FromFunction.EgressMessage]: ...

    class ExpirationSpec(Message):
        NONE: ClassVar[int]
        AFTER_WRITE: ClassVar[int]
        AFTER_INVOKE: ClassVar[int]
        mode: int
        expire_after_millis: int
        def __init__(self, *, mode: int = ..., expire_after_millis: int = ...) -> None: ...

    class PersistedValueSpec(Message):
        state_name: str
        type_typename: str
        @property
        def expiration_spec(self) -> FromFunction.ExpirationSpec: ...
        def __init__(
            self,
            *,
            state_name: str = ...,
            expiration_spec: FromFunction.ExpirationSpec = ...,
            type_typename: str = ...,
        ) -> None: ...

    class IncompleteInvocationContext(Message):
        @property
        def missing_values(self) -> _Repeated[FromFunction.PersistedValueSpec]: ...

    @property
    def invocation_result(self) -> FromFunction.InvocationResponse: ...
    @property
    def incomplete_invocation_context(self) -> FromFunction.IncompleteInvocationContext: ...

class BooleanWrapper(Message):
    value: bool

class IntWrapper(Message):
    value: int

class FloatWrapper(Message):
    value: float

class LongWrapper(Message):
    value: int

class DoubleWrapper(Message):
    value: float

class StringWrapper(Message):
    value: str

class KafkaProducerRecord(Message):
    key: str
    value_bytes: bytes
    topic: str
    def __init__(self, *, key: str = ..., value_bytes: bytes = ..., topic: str = ...) -> None: ...

class KinesisEgressRecord(Message):
    partition_key: str
    value_bytes: bytes
    stream: str
    explicit_hash_key: str
    def __init__(
        self,
        *,
        partition_key: str = ...,
        value_bytes: bytes = ...,
        stream: str = ...,
        explicit_hash_key: str = ...,
    ) -> None: ...
