"""`python -m photofinish`."""

import sys

from photofinish.cli import main

if __name__ == "__main__":
    sys.exit(main())
