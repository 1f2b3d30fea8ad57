"""docker-compose.yml, held to the Compose specification. Docker itself can't run here."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.search import SEARCH_ATTRIBUTES
from runtime.settings import PROJECT
from server.embedded import TUNING, EmbeddedServer
from services.order_placed import WORKERS
from tests.labs import Lab
from tests.processes import environment

COMPOSE = PROJECT / "docker-compose.yml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def check(file: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file to the schema of the Compose specification."""
    program = Path(sys.executable).with_name("check-jsonschema")
    return subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", file], capture_output=True, text=True, check=False
    )


def test_the_file_keeps_to_the_compose_specification() -> None:
    checked = check(COMPOSE)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("good", "broken"),
    [("condition: service_healthy", "condition: healthy-enough"), ("healthcheck:", "health_check:")],
)
def test_a_file_that_does_not_is_refused(tmp_path: Path, good: str, broken: str) -> None:
    file = tmp_path / "docker-compose.yml"
    text = COMPOSE.read_text(encoding="utf-8")
    assert good in text
    file.write_text(text.replace(good, broken))

    assert check(file).returncode != 0


def test_every_port_is_published_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_all_that_runs_on_has_a_healthcheck_and_is_restarted() -> None:
    lasting = {name: service for name, service in SERVICES.items() if "profiles" not in service}

    assert not [name for name, service in lasting.items() if "healthcheck" not in service]
    assert not [name for name, service in lasting.items() if "restart" not in service]


@pytest.mark.parametrize("name", WORKERS)
def test_each_worker_has_a_container_that_waits_for_the_server(name: str) -> None:
    service = SERVICES[name]

    assert service["command"] == ["python", "worker.py", "--service", name]
    assert service["healthcheck"]["test"][-1] == name
    assert service["depends_on"]["temporal"] == {"condition": "service_healthy"}


def test_the_server_is_set_up_as_the_embedded_one_is() -> None:
    command = SERVICES["temporal"]["command"]

    assert {f"--dynamic-config-value={value}" for value in TUNING} <= set(command)
    assert {name for name in command if name.startswith("--search-attribute")} == {
        "--search-attribute=OrderId=Keyword",
        "--search-attribute=OrderStyle=Keyword",
        "--search-attribute=Parked=KeywordList",
    }
    assert len(SEARCH_ATTRIBUTES) == 3


@pytest.mark.parametrize(("at_work", "code"), [(False, 1), (True, 0)])
def test_the_healthcheck_of_a_worker_tells_whether_it_is_at_work(
    server: EmbeddedServer, lab: Lab, at_work: bool, code: int
) -> None:
    name = lab.name if at_work else "without-workers"
    checked = subprocess.run(
        [sys.executable, "-m", "server.health", "shipping"],
        env=environment(TEMPORAL_ADDRESS=server.address, ORDERLAB_LAB=name),
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == code, checked.stderr
