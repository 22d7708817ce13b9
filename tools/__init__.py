"""Commands that `make` runs on a platform: demo, verify, story, crash, mails and admin."""

import sys
from pathlib import Path

# The contexts' library is a Lambda layer, so it is not on the path by itself.
sys.path.append(str(Path(__file__).resolve().parent.parent / "layers" / "common"))
