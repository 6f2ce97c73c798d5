#!/usr/bin/env bash
# rocksdict 0.3.29 (RocksDB for Python): what does a loop over all rows do when a table file is damaged in the middle?
#
# A good guess: it raises. `db[key]` of a row in the damaged block raises "Corruption: block checksum mismatch", and a loop
# that meets the same block cannot go on either.
#
# What it does: `items()`, `keys()`, `values()` and `iter()` end at the damage as if there were no more rows. Of 2,000 rows
# `dict(db.items())` has about half, and nothing is raised or logged: a copy or a count made that way is wrong in silence. Only
# `status()` of an iterator made with `db.iter()` says so, when it is asked after `valid()` turned false. An iterator also
# goes on yielding rows after `db.close()`, when everything else raises DbClosedError.
#
# Exits 1 if that is not so any more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install rocksdict==0.3.29
cat > "$folder/look.py" <<'PYTHON'
import sys
from pathlib import Path

from rocksdict import Options, Rdict

folder = Path(sys.argv[1])
db = Rdict(str(folder), Options(raw_mode=True))
for number in range(2000):
    db[b"%05d" % number] = b"x" * 1000
db.flush()
db.close()
(table,) = folder.glob("*.sst")
content = bytearray(table.read_bytes())
content[len(content) // 2] ^= 0xFF
table.write_bytes(content)

db = Rdict(str(folder), Options(raw_mode=True))
found = dict(db.items())
first_missing = next(n for n in range(2000) if b"%05d" % n not in found)
print(f"items() found {len(found)} of 2000 rows, and raised nothing")
try:
    db[b"%05d" % first_missing]
    get = "returned"
except Exception as error:
    get = f"raised {error}"
print(f"db[...] of the first row that is missing {get[:50]}")
cursor = db.iter()
cursor.seek_to_first()
while cursor.valid():
    cursor.next()
try:
    cursor.status()
    status = "good"
except Exception as error:
    status = str(error)
print(f"status() of the cursor afterwards: {status[:40]}")
cursor.seek_to_first()
db.close()
cursor.next()
print(f"after close() the cursor is {'still' if cursor.valid() else 'not'} valid")
surprising = len(found) < 2000 and get.startswith("raised Corruption") and status.startswith("Corruption") and cursor.valid()
sys.exit(0 if surprising else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder/db"
# Seen with 0.3.29:
#   items() found 1052 of 2000 rows, and raised nothing
#   db[...] of the first row that is missing raised Corruption: block checksum mismatch: store
#   status() of the cursor afterwards: Corruption: block checksum mismatch: st
#   after close() the cursor is still valid
