"""docker-compose.yml, held to the Compose specification. Docker itself can't run here."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.search import SEARCH_ATTRIBUTES
from runtime.settings import PROJECT
from server.attributes import type_name
from server.embedded import PRAGMAS, TUNING, EmbeddedServer
from server.ports import free_port
from services.order_placed import WORKERS
from tests.labs import Lab, until
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
    [
        ("condition: service_healthy", "condition: healthy-enough"),
        ("healthcheck:", "health_check:"),
        ("interval: 5s", "interval: [5s]"),
        ("services:", "service:"),
    ],
)
def test_a_file_that_does_not_is_refused(tmp_path: Path, good: str, broken: str) -> None:
    file = tmp_path / "docker-compose.yml"
    text = COMPOSE.read_text(encoding="utf-8")
    assert good in text
    file.write_text(text.replace(good, broken), encoding="utf-8")

    checked = check(file)

    # 1 is also how a program ends that did not come to check anything
    assert checked.returncode == 1
    assert "Schema validation errors" in checked.stdout


def test_every_port_is_published_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_all_that_runs_on_has_a_healthcheck_and_is_restarted() -> None:
    lasting = {name: service for name, service in SERVICES.items() if "profiles" not in service}

    assert set(lasting) == {"temporal", "ui", "mail", *WORKERS}
    assert not [name for name, service in lasting.items() if not service.get("healthcheck", {}).get("test")]
    assert not [name for name, service in lasting.items() if "restart" not in service]


@pytest.mark.parametrize("name", WORKERS)
def test_each_worker_has_a_container_that_waits_for_the_server(name: str) -> None:
    service = SERVICES[name]

    assert service["command"] == ["python", "worker.py", "--service", name]
    assert service["healthcheck"]["test"] == ["CMD", "python", "-m", "server.health", "--task-queue", name]
    assert service["depends_on"]["temporal"] == {"condition": "service_healthy"}


def test_workers_and_client_are_one_image_on_one_server_with_one_volume() -> None:
    programs = [SERVICES[name] for name in (*WORKERS, "client")]

    for key in ("image", "build", "environment", "volumes"):
        assert all(program[key] == programs[0][key] for program in programs), key
    settings = programs[0]["environment"]
    assert settings["TEMPORAL_ADDRESS"] == "temporal:7233"
    assert settings["ORDERLAB_SMTP_URL"] == "smtp://mail:1025"
    assert settings["ORDERLAB_LAB"] == ""
    assert settings["ORDERLAB_DATA"] == programs[0]["volumes"][0].split(":")[1]


def test_the_client_is_run_by_hand_once_all_workers_are_at_work() -> None:
    client = SERVICES["client"]

    assert client["profiles"] == ["client"]
    assert client["entrypoint"] == ["python", "client.py"]
    assert client["depends_on"] == {name: {"condition": "service_healthy"} for name in WORKERS}


def test_images_of_others_are_pinned_to_a_full_version() -> None:
    pulled = [service["image"] for service in SERVICES.values() if "build" not in service]

    assert len(pulled) == 3
    assert [image for image in pulled if not re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", image)] == []


def test_the_server_is_set_up_as_the_embedded_one_is() -> None:
    command = SERVICES["temporal"]["command"]
    attributes = [f"{key.name}={type_name(key.indexed_value_type)}" for key in SEARCH_ATTRIBUTES]

    assert values("--dynamic-config-value", command) == set(TUNING)
    assert values("--search-attribute", command) == set(attributes)
    # the two that a file needs to be nearly as fast as memory; the embedded one has more
    assert values("--sqlite-pragma", command) == {"journal_mode=wal", "synchronous=normal"} <= set(PRAGMAS)


def test_the_database_of_the_server_is_on_a_volume() -> None:
    temporal = SERVICES["temporal"]
    (database,) = values("--db-filename", temporal["command"])

    assert [volume for volume in temporal["volumes"] if Path(database).parent == Path(volume.split(":")[1])]


def values(option: str, command: list[str]) -> set[str]:
    """What a command line gives to an option."""
    return {word.partition("=")[2] for word in command if word.startswith(f"{option}=")}


def health(*arguments: str, address: str, lab: str) -> subprocess.CompletedProcess[str]:
    """Run the healthcheck of a worker as its container does."""
    return subprocess.run(
        [sys.executable, "-m", "server.health", *arguments],
        cwd=PROJECT,
        env=environment(TEMPORAL_ADDRESS=address, ORDERLAB_LAB=lab),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", WORKERS)
async def test_a_worker_at_work_is_healthy(server: EmbeddedServer, lab: Lab, name: str) -> None:
    # The lab's workers live in the loop of the tests: it must run for them to begin.
    await until(lambda: health("--task-queue", name, address=server.address, lab=lab.name).returncode == 0)


@pytest.mark.parametrize(("name", "lab_name"), [("shipping", "without-workers"), ("no-such-service", None)])
def test_a_queue_that_nobody_polls_is_unhealthy(
    server: EmbeddedServer, lab: Lab, name: str, lab_name: str | None
) -> None:
    checked = health("--task-queue", name, address=server.address, lab=lab_name or lab.name)

    assert checked.returncode == 1
    assert f"no live worker polls the task queue of {name}" in checked.stderr


def test_a_worker_whose_server_is_gone_is_unhealthy() -> None:
    checked = health("--task-queue", "shipping", address=f"127.0.0.1:{free_port()}", lab="")

    assert checked.returncode == 1
    assert checked.stderr.startswith("no Temporal server answers at")


def test_a_healthcheck_of_nothing_is_refused() -> None:
    checked = health(address="127.0.0.1:1", lab="")

    assert checked.returncode == 2
    assert "--task-queue" in checked.stderr
