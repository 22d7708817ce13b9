"""`python -m localstack.verify`."""

import sys

from localstack.verify import main

if __name__ == "__main__":
    sys.exit(main())
