"""DynamoDB Local, AWS's own engine: found or fetched, started and stopped; `make test-dynamodb` runs tests against it.

`DYNAMODB_LOCAL` names a folder that has it as AWS packs it (`DynamoDBLocal.jar`, `DynamoDBLocal_lib`). Otherwise Maven
fetches it once, checked against a digest. Where neither can be, or there is no Java 17, main says so loudly and does
not fail: the same tests ran against moto before.
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
"""The variable that tells tests/store to use the engine in this folder rather than moto's DynamoDB."""

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


class NotHere(Exception):
    """The engine can't be had on this machine, and why."""


def find() -> Path:
    """The folder of the engine, fetched where it is missing. Raises NotHere."""
    java = shutil.which("java")
    if java is None:
        raise NotHere(f"there is no Java (it takes {JAVA} or later)")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?([0-9]+)', said)
    if version is None or int(version[1]) < JAVA:
        raise NotHere(f"Java is {version[1] if version else 'unknown'}, and it takes {JAVA} or later")
    given = os.environ.get("DYNAMODB_LOCAL")
    if given:
        if not Path(given, "DynamoDBLocal.jar").is_file():
            raise NotHere("the folder that DYNAMODB_LOCAL names has no DynamoDBLocal.jar")
        return Path(given)
    folder = ROOT / ".remit" / "dynamodb-local" / VERSION
    if not folder.is_dir() or digest(folder) != DIGEST:
        _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NotHere("there is no Maven to fetch it with; DYNAMODB_LOCAL may name a folder that has it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        Path(work, "pom.xml").write_text(_POM)
        command = [maven, "-q", "-B", "-f", work, _COPY, "-DincludeScope=runtime", "-DoutputDirectory=lib"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotHere(f"Maven could not fetch it: {_last(done.stdout)}")
        found = digest(Path(work, "lib"))
        if found != DIGEST:
            raise NotHere(f"what Maven fetched has the digest {found}, not {DIGEST}")
        shutil.rmtree(folder, ignore_errors=True)
        Path(work, "lib").rename(folder)


def digest(folder: Path) -> str:
    """One digest of all files of a folder, names and contents."""
    files = sorted(folder.iterdir())
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The engine of a folder, in memory and on a free port; its URL. Raises NotHere where it does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    packed = folder / "DynamoDBLocal.jar"
    natives = folder / "DynamoDBLocal_lib" if packed.exists() else folder
    program = ["-jar", str(packed)] if packed.exists() else ["-cp", f"{folder}/*", _MAIN]
    options = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    command = ["java", "-Xmx512m", f"-Djava.library.path={natives}", *program, *options]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        try:
            if not _answers(process, url):
                said.seek(0)
                raise NotHere(f"it does not start: {_last(said.read())}")
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
        except Exception:  # noqa: BLE001 (whatever it is, there is no answer yet)
            time.sleep(0.1)
        else:
            return True
    return False


def _last(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "it says nothing")


def main(arguments: list[str]) -> int:
    """Run pytest on the engine; 0 where there is none to be had."""
    try:
        folder = find()
        with running(folder):
            pass
    except NotHere as reason:
        print(f"!! NOT RUN: the stores' tests against DynamoDB Local: {reason}", flush=True)
        return 0
    environment = {**os.environ, ENGINE: str(folder)}
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
