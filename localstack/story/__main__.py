"""`python -m localstack.story trf_...`."""

import sys

from localstack.story import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
