"""Planted bugs of files."""

from tests.simulation.planted.mutant import one

MUTANTS = (
    one(
        "commit before durable: content",
        "adapters/storage/object_folder.py",
        "                file.flush()\n                self._disk.sync(file)\n",
        "                file.flush()\n",
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
