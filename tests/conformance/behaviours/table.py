"""What a worker and an application under test do alike: what is sent, and what each address tells, in its order.

A line that begins with `>` sends a program to an address, one with `<` says what an address tells in all.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Behaviour:
    """A sentence, what is sent in turn, and per address what it tells."""

    name: str
    sent: list[tuple[str, str, str]] = field(default_factory=list)
    told: dict[str, list[str]] = field(default_factory=dict)


_TABLE = """
a message is delivered
> a 1 tell hello
< a 1 hello
a function may do nothing
> a 2 nothing
> a 2 tell done
< a 2 done
messages of one address come in the order sent
> a 3 tell one
> a 3 tell two
> a 3 tell three
< a 3 one two three
one message may tell several things in order
> a 4 tell one; tell two; tell three
< a 4 one two three
addresses of one type are apart
> a 5 set text x
> a 5x get text
< a 5x none
types of one id are apart
> a 6 set text x
> b 6 get text
< b 6 none
a state is none before it is set
> a 7 get text; get number; get other
< a 7 none none none
a state is there at once
> a 8 set text x; get text
< a 8 x
a state is there at the next message
> a 9 set text x
> a 9 get text
< a 9 x
a state is overwritten
> a 10 set text x
> a 10 set text y; get text
< a 10 y
a state is deleted
> a 11 set text x
> a 11 del text; get text
> a 11 get text
< a 11 none none
a state is set anew after it was deleted
> a 12 set text x
> a 12 del text
> a 12 set text y
> a 12 get text
< a 12 y
what is deleted and set in one message is set
> a 13 set text x
> a 13 del text; set text z
> a 13 get text
< a 13 z
what is set and deleted in one message is gone
> a 14 set text x; del text
> a 14 get text
< a 14 none
deleting what is not there does nothing
> a 15 del text; tell fine
< a 15 fine
an empty text is not none
> a 16 set text
> a 16 get text; tell end
< a 16 '' end
zero is not none
> a 17 set number 0
> a 17 get number
< a 17 0
a negative number is kept
> a 18 set number -5
> a 18 get number
< a 18 -5
the largest int is kept
> a 19 set number 2147483647
> a 19 get number
< a 19 2147483647
a counter counts
> a 20 inc
> a 20 inc
> a 20 inc; get number
< a 20 3
states of one address are apart
> a 21 set text x; set other y
> a 21 del text
> a 21 get text; get other
< a 21 none y
a value of an own type is kept
> a 22 set other ä€
> a 22 get other
< a 22 ä€
a large state is kept
> a 23 grow 200000
> a 23 size
< a 23 200000
a state shrinks
> a 24 grow 100000
> a 24 grow 10
> a 24 size
< a 24 10
a function without states works
> bare 25 tell x
> bare 25 tell y
< bare 25 x y
an async function works
> b 26 inc; get number
> b 26 inc; get number
< b 26 1 2
an id may hold anything
> a 27-ä.~ tell x
< a 27-ä.~ x
a message is sent on
> a 28 send b 28 tell hello
< b 28 hello
messages between two addresses keep their order
> a 29 send b 29 tell one; send b 29 tell two; send b 29 tell three
< b 29 one two three
a function sends to itself
> a 30 send a 30 tell again
< a 30 again
a function sends to another id of its type
> a 31 send a 31x tell there
< a 31x there
a chain of messages arrives
> a 32 send b 32 send a 32x tell end
< a 32x end
what is sent on can send on
> a 33 send b 33 send a 33x tell one, send a 33x tell two
< a 33x one
< a 33x two
a loop of messages ends
> a 34 down 5
< a 34 5 4 3 2 1 0
many messages of one invocation arrive in order
> a 35 fan 20
< b fan-35 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19
a message to itself comes after what is told at once
> a 36 send a 36 tell last; tell first
< a 36 first last
the caller of a message from outside is nobody
> a 37 caller
< a 37 nobody
the caller is who sent
> a 38 send b 38 caller
< b 38 behaviours/a/38
the caller of a message to itself is itself
> a 39 send a 39 caller
< a 39 behaviours/a/39
the caller of a delayed message is who sent it
> a 40 after 30 - b 40 caller
< b 40 behaviours/a/40
a value keeps its typename
> a 41 kind
< a 41 behaviours/program
a value that is sent on has its typename
> a 42 send b 42 kind
< b 42 behaviours/program
a delayed message comes
> a 43 after 50 - a 43 tell later
< a 43 later
a delayed message comes after what is told at once
> a 44 after 50 - a 44 tell later; tell now
< a 44 now later
delayed messages come in the order of their times
> a 45 after 400 - a 45 tell second; after 100 - a 45 tell first
< a 45 first second
a delay of nothing is no time
> a 46 after 0 - a 46 tell soon
< a 46 soon
a delayed message may go to another address
> a 47 after 50 - b 47 tell there
< b 47 there
a delayed message is cancelled
> a 48 after 600 t48 a 48 tell never
> a 48 cancel t48; after 800 - a 48 tell end
< a 48 end
a message that is cancelled in the same invocation does not come
> a 49 after 300 t49 a 49 tell never; cancel t49; after 500 - a 49 tell end
< a 49 end
cancelling what is not there does nothing
> a 50 cancel t50; tell fine
< a 50 fine
one token is cancelled and the other comes
> a 51 after 300 t51 a 51 tell never; after 500 u51 a 51 tell end
> a 51 cancel t51
< a 51 end
a token belongs to its sender
> a 52 after 300 t52 a 52 tell comes
> a 52x cancel t52
< a 52 comes
a cancelled token can be used again
> a 53 after 300 t53 a 53 tell never
> a 53 cancel t53
> a 53 after 100 t53 a 53 tell end
< a 53 end
a delayed message can send another
> a 54 after 50 - a 54 tell one, after 50 - a 54 tell two
< a 54 one two
a function that fails is tried again
> a 55 fail f55; tell done
< a 55 done
what a failed attempt did has not happened
> a 56 inc; tell before; fail f56; get number
< a 56 before 1
a batch that fails is done again whole
> a 57 inc
> a 57 fail f57; inc
> a 57 inc; get number
< a 57 3
others go on while one fails
> a 58 fail f58; tell done
> a 58x tell other
< a 58 done
< a 58x other
a value that is not written any more fades
> a 59 set fading x; get fading; after 900 - a 59 get fading
< a 59 x none
a value that nobody asks for fades
> a 60 set idle x; get idle; after 900 - a 60 get idle
< a 60 x none
a value that is written anew does not fade
> a 61 set text x; set fading y; after 900 - a 61 get text
< a 61 x
"""


def _read() -> list[Behaviour]:
    behaviours: list[Behaviour] = []
    for line in _TABLE.strip().splitlines():
        if line.startswith("> "):
            name, id_, program = line[2:].split(" ", 2)
            behaviours[-1].sent.append((f"behaviours/{name}", id_, program))
        elif line.startswith("< "):
            name, id_, *told = line[2:].split(" ")
            address = f"behaviours/{name}/{id_}"
            texts = ["" if text == "''" else text for text in told]
            behaviours[-1].told.setdefault(address, []).extend(texts)
        else:
            behaviours.append(Behaviour(line))
    return behaviours


BEHAVIOURS = _read()
