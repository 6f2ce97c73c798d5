"""`python -m statefun_runtime.cli`."""

import sys

from statefun_runtime.cli import main

sys.exit(main())
