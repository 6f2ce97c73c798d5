"""What a function can see of its invocation, and ask for."""

from abc import ABC, abstractmethod
from datetime import timedelta

from statefun.address import SdkAddress
from statefun.egress import EgressMessage
from statefun.message import Message
from statefun.storage import Storage
from statefun.values.record import RecordMetadata


class Context(ABC):
    """The side of an invocation that a function works with.

    Everything that it asks for happens when its whole batch has succeeded, in the order in which
    it was asked for; if the batch fails nothing happens. One context serves a whole batch, and its
    caller changes from invocation to invocation.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def address(self) -> SdkAddress:
        """The function that runs."""

    @property
    @abstractmethod
    def storage(self) -> Storage:
        """The state of this function instance: an attribute for each ValueSpec."""

    @property
    @abstractmethod
    def caller(self) -> SdkAddress | None:
        """The function that sent the message, or None when it came from an ingress."""

    @property
    def record_metadata(self) -> RecordMetadata | None:
        """Where the record came from that is the message, with its time and headers.

        None if it came from elsewhere, or the ingress does not say `forwardMetadata: true` for its
        topic, or the runtime has no such thing.
        """
        return None

    def send(self, message: Message) -> None:
        """Send a message to a function."""
        raise NotImplementedError

    def send_after(
        self, duration: timedelta, message: Message, cancellation_token: str = ""
    ) -> None:
        """Send a message later; with a token it can be cancelled until then."""
        raise NotImplementedError

    def cancel_delayed_message(self, cancellation_token: str) -> None:
        """Undo a delayed message that was sent with this token; a delivered one stays delivered."""
        raise NotImplementedError

    def send_egress(self, message: EgressMessage) -> None:
        """Send a message to an egress."""
        raise NotImplementedError
