"""What keeps an ingress or egress from working, said once."""

import logging


class Complaint:
    """Says what is wrong when it is new; silent while it stays the same."""

    def __init__(self, log: logging.Logger, who: str) -> None:
        self._log = log
        self._who = who
        self._said: dict[str, str] = {}

    def say(self, words: str, *, about: str | None = None) -> None:
        """Log a warning, unless it was said since the last `over`; `about` a subject one thing is enough."""
        subject = words if about is None else about
        if subject not in self._said:
            self._said[subject] = words
            self._log.warning("%s %s", self._who, words)

    def over(self, *, about: str | None = None) -> None:
        """It works again, all of it or a subject: whatever comes is new."""
        if about is None:
            self._said.clear()
        else:
            self._said.pop(about, None)
