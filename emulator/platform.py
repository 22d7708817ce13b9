"""Starts, deploys, stops and resets a run: `python -m emulator.platform up|down|reset|status|deploy`."""

import importlib
import json
import shutil
import sys
from urllib.error import URLError

from botocore.exceptions import BotoCoreError, ClientError

from emulator.deployment import deploy
from emulator.process import PlatformFailed, is_ready, start, stop
from emulator.settings import Run
from tools.environment import exit_status, locked

__all__ = ["PlatformFailed", "deploy", "down", "main", "reset", "start", "status", "up"]


def up(run: Run) -> None:
    """Start the emulator, deploy what changed, and show that it works."""
    start(run)
    deploy(run)
    print(f"\nThe API is at {run.api_url}, AWS at {run.aws_url}.")
    importlib.import_module("tools.demo").main(run)


def down(run: Run) -> None:
    """Stop the emulator. Its data stays on disk."""
    if not stop(run):
        print("It is not running.")


def reset(run: Run) -> None:
    """Stop the emulator and delete its data. Builds are kept."""
    stop(run)
    for folder in (run.state, run.logs, run.temporary):
        shutil.rmtree(folder, ignore_errors=True)
    run.platform_file.unlink(missing_ok=True)
    print("All data is deleted.")


def status(run: Run) -> None:
    """Print what is known about the run, as JSON."""
    print(json.dumps({"running": is_ready(run), **run.platform}, indent=2))


VERBS = {"up": up, "down": down, "reset": reset, "status": status, "deploy": deploy}


def main(arguments: list[str]) -> int:
    """Run one verb and return the exit status."""
    if len(arguments) != 1 or arguments[0] not in VERBS:
        print(f"One of: {', '.join(VERBS)}", file=sys.stderr)
        return 2
    run = Run.current()
    return exit_status(lambda: _run(arguments[0], run), run.folder, "500 MB")


def _run(verb: str, run: Run) -> None:
    try:
        if verb == "status":
            status(run)  # works while another command holds the lock
            return
        with locked(run.folder / "lock", f"{verb} of the run {run.name}"):
            VERBS[verb](run)
    except (BotoCoreError, ClientError, ConnectionRefusedError, ConnectionResetError, TimeoutError, URLError) as error:
        raise PlatformFailed(f"The emulator failed a request ({error}). See {run.logs}/launcher.log.") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
