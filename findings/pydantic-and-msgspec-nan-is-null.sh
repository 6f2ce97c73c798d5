#!/usr/bin/env bash
# pydantic and msgspec write NaN and infinity as null, which neither reads back into the float that it was.
#
# A good guess: what a field declared as a float may hold is written so that the same class reads it again, or refused when it
# is written, since JSON has no NaN; json.dumps(allow_nan=False) raises ValueError. State or messages that were written without an
# error cannot be read afterwards, by any version of the program; in a field that may be None the number is gone without a word.
# Found with pydantic 2.14.4 (ser_json_inf_nan, whose default is "null", has "constants" and "strings", too) and msgspec 0.22.0
# (which has no setting for it) on Python 3.11.
#
# Seen:
#   pydantic writes {"weight":null}: ValidationError when it is read
#   msgspec writes {"weight":null}: ValidationError when it is read
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydantic==2.14.4 msgspec==0.22.0
cat > "$folder/try.py" <<'PY'
import math
import sys

import msgspec
import pydantic


class Model(pydantic.BaseModel):
    weight: float


class Struct(msgspec.Struct):
    weight: float


def told(name, text, read):
    try:
        read(text)
    except (pydantic.ValidationError, msgspec.ValidationError) as error:
        print(f"{name} writes {text}: {type(error).__name__} when it is read")
        return True
    print(f"{name} writes {text}, and reads it")
    return False


model = Model(weight=math.nan).model_dump_json()
struct = msgspec.json.encode(Struct(weight=math.inf)).decode()
is_refused = [
    told("pydantic", model, Model.model_validate_json),
    told("msgspec", struct, lambda text: msgspec.json.decode(text, type=Struct)),
]
sys.exit(not (all(is_refused) and model == struct == '{"weight":null}'))
PY
"$folder/venv/bin/python" "$folder/try.py"
