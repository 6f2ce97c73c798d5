#!/usr/bin/env bash
# uvloop's loop.call_at() and call_later() return no TimerHandle where the time has come already: what they return then has
# no when(), which asyncio documents for both.
#
# A good guess: as with asyncio's own loop, call_at(t, …).when() is t, also for a t that has just passed. A t that was computed
# a moment ago is often past on a busy loop, so that code which asks its alarm for its time fails now and then.
# Found with uvloop 0.23.0: a due alarm is made by call_soon(), which returns a plain Handle.
#
# Seen:
#   asyncio, due: TimerHandle, when() is there
#   uvloop, later: TimerHandle, when() is there
#   uvloop, due: Handle, AttributeError
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvloop==0.23.0
cat > "$folder/try.py" <<'PY'
import asyncio
import sys

import uvloop


async def alarm(after_s):
    loop = asyncio.get_running_loop()
    handle = loop.call_at(loop.time() + after_s, print, "rings")
    try:
        handle.when()
        found = "when() is there"
    except AttributeError as error:
        found = type(error).__name__
    handle.cancel()
    return f"{type(handle).__name__}, {found}"


seen = []
for name, make, after_s in (
    ("asyncio, due", asyncio.new_event_loop, -0.001),
    ("uvloop, later", uvloop.new_event_loop, 1.0),
    ("uvloop, due", uvloop.new_event_loop, -0.001),
):
    with asyncio.Runner(loop_factory=make) as runner:
        seen.append(f"{name}: {runner.run(alarm(after_s))}")
print("\n".join(seen))
sys.exit(
    seen
    != [
        "asyncio, due: TimerHandle, when() is there",
        "uvloop, later: TimerHandle, when() is there",
        "uvloop, due: Handle, AttributeError",
    ]
)
PY
"$folder/venv/bin/python" "$folder/try.py"
