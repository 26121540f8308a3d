"""`python -m audioplane` is the `audioplane` command."""

import sys

from audioplane.cli import main

if __name__ == "__main__":
    sys.exit(main())
