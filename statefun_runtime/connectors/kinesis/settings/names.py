"""What Kinesis lets a stream be called."""

import re
from functools import lru_cache

# A slash would also make the names of shards in checkpoints unreadable.
_STREAM_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


@lru_cache(1024)
def why_no_stream(name: str) -> str | None:
    """Return why nothing can be called so, or None: records for it would wait for ever."""
    return None if _STREAM_NAME.fullmatch(name) else f"{name!r} is not the name of a stream"
