"""Whoever runs this process as one of its own: it hears when functions are served, and its end is ours.

Both ends of a pair of sockets say it: what is written here is read there, and when nothing holds the other end any
more, whoever held it is gone, killed or not. A thread looks, since a function may keep the loop busy for ever.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

_PR_SET_PDEATHSIG = 1


class Supervisor:
    """The other end of `descriptor`; from now on this process ends with it, `grace_s` later at the latest."""

    def __init__(self, descriptor: int, *, grace_s: float) -> None:
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        self._grace_s = grace_s
        _end_with_parent()
        threading.Thread(target=self._watch, name="supervisor", daemon=True).start()

    def tell(self, **content: Any) -> None:
        """Say something; whether anybody is left to hear it the thread finds out."""
        with suppress(OSError):
            self._socket.sendall(json.dumps(content).encode() + b"\n")

    def _watch(self) -> None:
        with suppress(OSError):
            while self._socket.recv(64):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self._grace_s)
        os._exit(1)


def _end_with_parent() -> None:
    """Have the kernel end this process with its parent, where it can: no thread runs while C code holds the interpreter."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
