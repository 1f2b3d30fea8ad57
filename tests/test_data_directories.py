"""A data directory may be called anything: what is made from its name stays in it, and means itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, make_url

from hosting.composition import check_room
from lab.compare.contestants import BESIDE
from orders.model import Order
from runtime.directories import MAX_DIRECTORY_BYTES
from runtime.errors import InputError
from runtime.settings import Settings
from services.order_placed import SERVICES, WORKERS
from stores.database import check_database_url, open_database
from tests.processes import forget_environment, orderlab

NAMES = [
    "x-#1",
    "q?x=1",
    "100%",
    "%41 %s %(a)s {b}",
    "a b",
    "h\u00e9 \u65e5\u672c",
    "[red]x[/red]",
    "a&b;c'd\"e",
    "file:x",
]


@pytest.mark.parametrize("name", NAMES)
def test_each_service_has_a_database_of_its_own_in_the_directory(tmp_path: Path, name: str) -> None:
    settings = Settings(data=tmp_path / name)

    files = {Path(make_url(settings.database_url(service.name)).database or "") for service in SERVICES}

    assert files == {tmp_path / name / "services" / f"{service.name}.db" for service in SERVICES}


def test_in_the_longest_directory_that_is_taken_every_database_of_a_lab_can_be_opened(tmp_path: Path) -> None:
    # given a directory whose path is as long as it may be, and one a byte longer
    room = MAX_DIRECTORY_BYTES - len(str(tmp_path)) - 1
    longest = tmp_path / ("x" * (room - 201)) / ("y" * 200)
    # when it is taken for a lab, with a second one beside it
    settings = Settings.at(longest)

    # then each database is opened, and the longer path is refused
    for lab in (settings, settings.beside(BESIDE), settings.beside("listeners")):
        for service in SERVICES:
            open_database(lab.database_url(service.name), MetaData()).dispose()
    with pytest.raises(InputError, match="SQLite opens no database with a longer one"):
        Settings.at(longest.with_name("y" * 201))


def test_a_directory_is_measured_where_it_is_and_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/" + "x" * 200)

    with pytest.raises(InputError, match="is a link to nothing"):
        Settings.at(tmp_path / "link")
    with pytest.raises(InputError, match="bytes; it can have"):
        Settings.at(tmp_path / ("\u20ac" * 80) / ("\u20ac" * 80))


@pytest.mark.parametrize(
    ("given", "hosted", "is_needed"),
    [
        ({}, WORKERS, True),
        ({}, ("saga", "bus"), False),
        ({"shipping_db_url": "sqlite:///x"}, ("shipping",), False),
        ({"shipping_db_url": "sqlite:///x"}, ("shipping", "invoicing"), True),
        ({"marketing_db_url": "sqlite:///x"}, ("marketing",), True),
        ({"marketing_db_url": "sqlite:///x", "smtp_url": "smtp://mail:25"}, ("marketing",), False),
    ],
)
def test_a_directory_in_which_a_worker_would_keep_nothing_needs_no_room(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], hosted: tuple[str, ...], *, is_needed: bool
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    settings = Settings(data=Path("/proc/nope"), **given)

    if is_needed:
        with pytest.raises(InputError, match="can't be made in /proc"):
            check_room(settings, hosted)
    else:
        assert check_room(settings, hosted) is settings


def test_a_server_that_nobody_names_needs_room(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(monkeypatch)

    with pytest.raises(InputError, match="can't be made in /proc"):
        check_room(Settings(data=Path("/proc/nope")), ())


@pytest.mark.parametrize("url", ["sqlite:///%41.db?timeout=5", "postgresql+psycopg://me:p%40ss@host/books"])
def test_a_database_that_the_user_names_by_a_url_is_read_as_one(url: str) -> None:
    settings = Settings(shipping_db_url=url)

    assert settings.database_url("shipping") == url
    check_database_url(settings.database_url("shipping"))


@pytest.mark.parametrize("name", ["x-#1 %41 [b] h\u00e9", "q?x=1&mode=memory"])
def test_all_that_an_order_leaves_is_in_the_directory_and_is_found_there_again(
    tmp_path: Path, order: Order, name: str
) -> None:
    file = tmp_path / "order.json"
    file.write_text(order.model_dump_json())

    placed = orderlab("order", "order.json", "--style", "both", "--data", name, cwd=tmp_path)
    audited = orderlab("audit", "--json", "-", "--data", name, cwd=tmp_path)

    assert placed.code == audited.code == 0, placed.err + audited.err
    assert f"starting a Temporal server on {name}" in placed.err
    assert json.loads(audited.out) == {"checked": 2, "violations": [], "acts": []}
    assert {one.name for one in tmp_path.iterdir()} == {"order.json", name}
    made = {str(one.relative_to(tmp_path / name)) for one in (tmp_path / name).rglob("*.db")}
    assert made == {"temporal.db", *(f"services/{service.name}.db" for service in SERVICES)}
    assert len(list((tmp_path / name / "mail").glob("*.eml"))) == 2
