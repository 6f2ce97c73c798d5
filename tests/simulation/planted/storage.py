"""Planted bugs of files."""

from tests.simulation.planted.mutant import Mutant, one

MUTANTS = (
    one(
        "commit before durable: content",
        "adapters/storage/object_folder.py",
        "                file.flush()\n                self._disk.sync(file)\n",
        "                file.flush()\n",
    ),
    one(
        "commit before durable: content of small objects",
        "adapters/storage/segments.py",
        "        file.flush()\n        self._disk.sync(file)\n",
        "        file.flush()\n",
    ),
    one(
        "commit before durable: name of a segment",
        "adapters/storage/object_folder.py",
        "            if waiting and self._segments.append(waiting):\n"
        "                self._has_new_names = True\n",
        "            if waiting:\n                self._segments.append(waiting)\n",
    ),
    Mutant(
        "append behind what may not be there",
        (
            (
                "adapters/storage/segments.py",
                "            except OSError:\n                self._abandon()\n                raise\n",
                "            except OSError:\n                raise\n",
            ),
        ),
        test="tests/unit/adapters/storage/test_segments.py",
    ),
    one(
        "publish before the log entry is synced",
        "adapters/storage/commit_log_folder.py",
        "            self._disk.sync_folder(self._folder)\n            writing.unlink()\n",
        "            writing.unlink()\n",
    ),
    one(
        "a savepoint is not synced",
        "adapters/storage/savepoint_folder.py",
        "        disk.sync_folder(objects)\n",
        "",
    ),
)
