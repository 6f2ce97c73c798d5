"""How texts from outside are printed: ids, names, errors and bodies of replies are anybody's, and may be anything."""

ID_MAX = 200
TEXT_MAX = 1000


def printable(text: str, limit: int = TEXT_MAX) -> str:
    """Return a text in one line of about so many characters, in which nothing acts on a terminal or a log.

    What cannot be printed is escaped as Python does, a line break as `\\n`; of a longer text the beginning is there, and
    how long it is.
    """
    if len(text) <= limit and text.isprintable():
        return text
    pieces: list[str] = []
    room = limit
    for character in text[:limit]:
        piece = character if character.isprintable() else _escaped(character)
        room -= len(piece)
        if room < 0:
            break
        pieces.append(piece)
    beginning = "".join(pieces)
    return beginning if len(pieces) == len(text) else f"{beginning}… ({len(text):,} characters)"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
