"""`statefun-worker dead-letters list|replay`: what was given up, and sending it again."""

import argparse
import logging
from collections.abc import Iterable, Iterator, Sequence

from statefun_runtime.cli.flags import add_settings, add_state_dir, load_modules
from statefun_runtime.cli.hiding import hiding
from statefun_runtime.cli.status import FAILED, GOOD
from statefun_runtime.core.model.dead_letter import DeadLetter
from statefun_runtime.core.printable import ID_MAX, printable

_BYTES_PER_REQUEST = 4 * 1024 * 1024
_HELP = """\
Letters are read from the Kafka topics that the module names in 'deadLetters', or from a file with one a line.
A letter that is replayed takes effect once, however often it is replayed within a day
(statefun.runtime.idempotency.keep). The function sees the same message again, from the same caller.

examples:
  statefun-worker dead-letters list --module module.yaml
  statefun-worker dead-letters replay --module module.yaml --function shop.fns/order
  curl -s localhost:8091/dead-letters | statefun-worker dead-letters replay --from -
"""


def main(given: Sequence[str]) -> int:
    """Show letters, or have the running worker take them again."""
    flags = _parser().parse_args(given)
    from statefun_runtime.app.dead_letters import letters_in_file, letters_in_topics

    # What the Kafka client says of a broker that is away is in the error.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    if flags.letters_from:
        found = list(letters_in_file(flags.letters_from))
    else:
        loaded = load_modules(flags.module, flags)
        with hiding(loaded.secrets):
            found = letters_in_topics(loaded.required())
    letters = [letter for letter in found if _is_wanted(letter, flags)]
    if flags.what == "list":
        for letter in letters:
            _print(letter)
        print(f"{len(letters)} dead letters")
        return GOOD
    return _replay(letters, flags)


def _is_wanted(letter: DeadLetter, flags: argparse.Namespace) -> bool:
    function = str(letter.target.type) if letter.target else None
    return (
        (not flags.function or function == flags.function)
        and (not flags.reason or letter.reason == flags.reason)
        and (not flags.id or letter.id in flags.id)
    )


def _print(letter: DeadLetter) -> None:
    if letter.target is not None:
        whom = str(letter.target)
    elif letter.origin is not None:
        whom = f"a record of {letter.origin.split} at {letter.origin.position}"
    else:
        whom = "nobody"
    print(f"{printable(letter.id, ID_MAX)}  {printable(whom)}")
    print(f"    {printable(letter.reason, ID_MAX)}: {printable(letter.error)}")


def _replay(letters: list[DeadLetter], flags: argparse.Namespace) -> int:
    from statefun_runtime.adapters.admin.admin_socket import admin_socket, ask_worker

    replayed = repeated = 0
    refused: list[str] = []
    for lines in _requests(letters):
        answer = ask_worker(admin_socket(flags.state_dir), "replay", {"letters": lines})
        replayed += answer["replayed"]
        repeated += answer["repeated"]
        refused += answer["refused"]
    print(f"{replayed} replayed, {repeated} had been before")
    for one in refused:
        print(f"not replayed: {one}")
    return FAILED if refused else GOOD


def _requests(letters: Iterable[DeadLetter]) -> Iterator[list[str]]:
    lines: list[str] = []
    size = 0
    for letter in letters:
        line = letter.to_json().decode()
        if lines and size + len(line) > _BYTES_PER_REQUEST:
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker dead-letters",
        description="See what an application has given up, and send it again.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("what", choices=("list", "replay"))
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--module", action="append", metavar="FILE", help="the application's module.yaml"
    )
    source.add_argument(
        "--from", dest="letters_from", metavar="FILE", help="a file of letters; -: standard input"
    )
    add("--function", metavar="TYPE", help="only letters for this function type")
    add("--reason", metavar="WORD", help="only letters with this reason, such as status or timeout")
    add("--id", action="append", metavar="ID", help="only the letter with this id; may be repeated")
    add_state_dir(parser)
    add_settings(parser)
    return parser
