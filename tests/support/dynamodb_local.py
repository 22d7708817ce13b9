"""Runs tests on DynamoDB Local, AWS's own engine: `make test-dynamodb`.

`DYNAMODB_LOCAL` names a folder with the engine as AWS packages it (`DynamoDBLocal.jar`, `DynamoDBLocal_lib`). Without
it, Maven downloads the engine once, and its digest is checked. If the engine or Java 17 is not available, `main` prints
that the tests were not run and does not fail: the same tests have run on moto.
"""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

ENGINE = "REMIT_DYNAMODB_LOCAL"
"""The variable with the folder of the engine that tests/store use instead of moto's DynamoDB."""

ROOT = Path(__file__).parents[2]
JAVA = 17
VERSION = "3.1.0"
DIGEST = "327571bc6c3861d29af121dcc8b697235efe1e194a47e8924912cf47b12f0ef1"
_MAIN = "software.amazon.dynamodb.services.local.main.ServerRunner"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_POM = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>remit</groupId>
  <artifactId>dynamodb-local</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>software.amazon.dynamodb</groupId>
      <artifactId>DynamoDBLocal</artifactId>
      <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


class EngineUnavailable(Exception):
    """Why the engine is not available on this machine."""


def find() -> Path:
    """Return the folder of the engine. Download it if it is missing. Raises EngineUnavailable."""
    java = shutil.which("java")
    if java is None:
        raise EngineUnavailable(f"no Java was found (it needs {JAVA} or later)")
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?([0-9]+)', output)
    if version is None or int(version[1]) < JAVA:
        raise EngineUnavailable(f"Java is {version[1] if version else 'unknown'}, and it needs {JAVA} or later")
    given = os.environ.get("DYNAMODB_LOCAL")
    if given:
        if not Path(given, "DynamoDBLocal.jar").is_file():
            raise EngineUnavailable("the folder in DYNAMODB_LOCAL has no DynamoDBLocal.jar")
        return Path(given)
    folder = ROOT / ".remit" / "dynamodb-local" / VERSION
    if not folder.is_dir() or digest(folder) != DIGEST:
        _download(folder)
    return folder


def _download(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise EngineUnavailable("no Maven was found to download it; set DYNAMODB_LOCAL to a folder that has it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        Path(work, "pom.xml").write_text(_POM)
        command = [maven, "-q", "-B", "-f", work, _COPY, "-DincludeScope=runtime", "-DoutputDirectory=lib"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EngineUnavailable(f"Maven could not download it: {_last_line(done.stdout)}")
        found = digest(Path(work, "lib"))
        if found != DIGEST:
            raise EngineUnavailable(f"the download has the digest {found}, not {DIGEST}")
        shutil.rmtree(folder, ignore_errors=True)
        Path(work, "lib").rename(folder)


def digest(folder: Path) -> str:
    """Return one digest of the names and contents of all files in a folder."""
    files = sorted(folder.iterdir())
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run the engine in memory on a free port, and yield its URL. Raises EngineUnavailable if it does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    packed = folder / "DynamoDBLocal.jar"
    natives = folder / "DynamoDBLocal_lib" if packed.exists() else folder
    program = ["-jar", str(packed)] if packed.exists() else ["-cp", f"{folder}/*", _MAIN]
    options = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    command = ["java", "-Xmx512m", f"-Djava.library.path={natives}", *program, *options]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            if not _answers(process, url):
                log.seek(0)
                raise EngineUnavailable(f"it does not start: {_last_line(log.read())}")
            yield url
        finally:
            process.terminate()
            process.wait()


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    session = URLLib3Session(timeout=2)
    for _ in range(300):
        if process.poll() is not None:
            return False
        try:
            session.send(AWSRequest("GET", url).prepare())
        except Exception:  # noqa: BLE001 (any exception means that there is no answer yet)
            time.sleep(0.1)
        else:
            return True
    return False


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "there is no output")


def main(arguments: list[str]) -> int:
    """Run pytest on the engine, and return its exit status, or 0 if the engine is not available."""
    try:
        folder = find()
        with running(folder):
            pass
    except EngineUnavailable as reason:
        print(f"!! NOT RUN: the stores' tests against DynamoDB Local: {reason}", flush=True)
        return 0
    environment = {**os.environ, ENGINE: str(folder)}
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
