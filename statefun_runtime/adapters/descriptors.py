"""File descriptors: how many the process may have, and what they are for.

    limit = kept for files, checkpoints, brokers and the worker's own ports
          + connections of clients that come in + connections to functions

Every connection is one. Without a share for each, a busy pool takes all of them, and no checkpoint can open its file.
"""

import logging
import resource
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger("statefun.worker")

_KEPT = 256
# More than this nobody needs, and some systems take long to close them all in a child.
_SOFT_MAX = 65_536


@dataclass(slots=True)
class Descriptors:
    """The shares of a limit; pools say how many they have by joining."""

    limit: int = _SOFT_MAX
    _users: list[Callable[[], int]] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """How many are for nobody who could do with fewer."""
        return min(_KEPT, self.limit // 2)

    @property
    def incoming_max(self) -> int:
        """How many connections one port takes."""
        return max(1, (self.limit - self.kept) // 4)

    @property
    def outgoing_max(self) -> int:
        """How many connections go to functions, of all endpoints together."""
        return max(1, self.limit - self.kept - self.incoming_max)

    def join(self, count: Callable[[], int]) -> None:
        """Count somebody's connections to functions, too."""
        self._users.append(count)

    def free(self) -> int:
        """Return how many more connections to functions may be opened."""
        return self.outgoing_max - sum(count() for count in self._users)


def raise_limit() -> Descriptors:
    """Take as many descriptors as the system gives; return their shares."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _SOFT_MAX if hard == resource.RLIM_INFINITY else min(hard, _SOFT_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:
            log.warning("the limit of open files stays at %d: %s", soft, error)
    return Descriptors(_SOFT_MAX if soft == resource.RLIM_INFINITY else min(soft, _SOFT_MAX))


def tell(descriptors: Descriptors, connections_wanted: int) -> None:
    """Say it where the limit is what bounds the pools of a module."""
    if connections_wanted > descriptors.outgoing_max:
        log.warning(
            "the endpoints may have %d connections together, not %d: at most %d files may be open"
            " (raise it: `ulimit -n`, LimitNOFILE= of systemd)",
            descriptors.outgoing_max,
            connections_wanted,
            descriptors.limit,
        )
