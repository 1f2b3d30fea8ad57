"""Fetches what tests need besides Python packages, and keeps it in the user's cache."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from server.children import end_child, last_line, start_child

_MAVEN_S = 180
_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>orderlab</groupId><artifactId>fetched</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
    </dependency>
  </dependencies>
</project>
"""


def fetch_jars(cache: Path, group: str, artifact: str, version: str) -> str:
    """Put a Java library and what it needs into `lib`, by Maven; blocks for some minutes at most.

    Args:
        cache: an existing directory.
        group: with artifact and version, the library's coordinates.
        artifact: see group.
        version: see group.

    Returns:
        Why that did not work, or nothing.
    """
    maven = shutil.which("mvn")
    if maven is None or shutil.which("java") is None:
        return "there is no Maven with a JVM"
    with scratch_in(cache) as scratch:
        pom, made = scratch / "pom.xml", scratch / "lib"
        pom.write_text(_POM.format(group=group, artifact=artifact, version=version), encoding="utf-8")
        argv = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={made}"]
        complaint = run_to_end([*argv, "-DincludeScope=runtime"], scratch / "log", _MAVEN_S)
        if not complaint:
            adopt(made, cache / "lib")
    return f"Maven: {complaint}" if complaint else ""


@contextmanager
def scratch_in(cache: Path) -> Iterator[Path]:
    """An empty directory in the cache: what is made there can be moved to its place in one atomic step."""
    with TemporaryDirectory(prefix="fetch-", dir=cache, ignore_cleanup_errors=True) as directory:
        yield Path(directory)


def run_to_end(argv: Sequence[str], log: Path, limit_s: float) -> str:
    """Run a command to its end; answers why it failed, or nothing."""
    child = start_child(argv, log=log)
    try:
        child.wait(limit_s)
    except subprocess.TimeoutExpired:
        return f"not done within {limit_s:.0f} s"
    finally:
        code = end_child(child, grace_s=2)
    if code == 0:
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    # Maven tells what is wrong first, and then at length where to read about it; Python tells it last.
    return next((line for line in lines if line.startswith("[ERROR]")), last_line(log)) or f"exit code {code}"


def adopt(made: Path, target: Path) -> None:
    """Move what was made to its place, unless another process was faster: its own is as good."""
    with contextlib.suppress(OSError):
        made.replace(target)
