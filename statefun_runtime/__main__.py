"""`python -m statefun_runtime`, which is `statefun-worker`."""

import sys

from statefun_runtime.cli import main

sys.exit(main())
