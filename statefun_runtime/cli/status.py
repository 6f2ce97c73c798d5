"""Exit statuses: what a command says to the shell."""

GOOD = 0
# It could not go on: something outside is away, or stored data is damaged.
FAILED = 1
# The operator must edit a file or a flag.
BAD_CONFIG = 2
