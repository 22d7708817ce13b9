"""`python -m tools.story trf_...`."""

import sys

from tools.story import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
