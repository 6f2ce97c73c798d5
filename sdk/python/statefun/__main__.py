"""`python -m statefun` is `statefun`."""

import sys

from statefun.cli import main

sys.exit(main())
