"""Planted bugs of HTTP, Kinesis, and how functions are called."""

from tests.simulation.planted.mutant import Mutant, one

_HTTP_IN = "connectors/playground/reader.py"
_BUNDLE = "adapters/http/bundles/exchange.py"
_BUNDLE_TEST = "tests/unit/adapters/http/bundles/test_bundles.py"

MUTANTS = (
    Mutant(
        "route an HTTP record before its sync",
        (
            (
                _HTTP_IN,
                "        try:\n            await asyncio.shield(",
                "        answers = [self._front.answer(self._route(record)) for record, _ in waiting]\n"
                "        try:\n            await asyncio.shield(",
            ),
            (
                _HTTP_IN,
                "        for record, answer in waiting:\n"
                "            answer.resolve(self._front.answer(await self._routed(record)))\n",
                "        for (_, answer), said in zip(waiting, answers):\n"
                "            answer.resolve(said)\n",
            ),
        ),
    ),
    one(
        "answer HTTP before the sync",
        "connectors/playground/ingress_log.py",
        "                file.flush()\n                self._disk.sync(file)\n        except OSError as error:\n"
        "            raise _unavailable(segment.path, error) from error\n        segment.count",
        "                file.flush()\n        except OSError as error:\n"
        "            raise _unavailable(segment.path, error) from error\n        segment.count",
    ),
    one(
        "read an unsynced tail of the HTTP log",
        "connectors/playground/ingress_log.py",
        "            self._mend(self._segments[-1])\n",
        "            pass\n",
    ),
    one(
        "show what is in no checkpoint by cursor",
        "connectors/playground/writer.py",
        "                place[0] > self.outbox.complete_epoch\n                or len(records)",
        "                len(records)",
    ),
    Mutant(
        "keep the HTTP log for the newest checkpoint alone",
        (
            (
                _HTTP_IN,
                "        self._needed_from = min(",
                "        self._needed_from = max(",
            ),
        ),
        "tests/unit/connectors/playground/test_playground.py",
    ),
    one(
        "drop the HTTP log up to where it is read",
        _HTTP_IN,
        "self._log.drop_before(self._needed_from)",
        "self._log.drop_before(self._position)",
    ),
    Mutant(
        "take the zeros of a power cut for records",
        (
            (
                "connectors/playground/ingress_log.py",
                "            if not size or len",
                "            if len",
            ),
        ),
        "tests/unit/connectors/playground/test_ingress_log.py",
    ),
    Mutant(
        "believe what stands behind a second outcome of one address",
        (
            (
                _BUNDLE,
                '                    raise BrokenBundleError(f"an outcome of index {index}, which is not wanted")\n',
                "                    continue\n",
            ),
        ),
        _BUNDLE_TEST,
    ),
    Mutant(
        "blame all who stood behind one that hangs",
        (
            (
                _BUNDLE,
                "            self._return_left(goes_alone=True)\n        self._close()\n",
                '            self._break("no reply within the time limit")\n            return\n'
                "        self._close()\n",
            ),
        ),
        _BUNDLE_TEST,
    ),
)
