"""`python -m tools.verify`."""

import sys

from tools.verify import main

if __name__ == "__main__":
    sys.exit(main())
