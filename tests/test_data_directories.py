"""A data directory may be called anything: what is made from its name stays in it, and means itself."""

import json
from pathlib import Path

import pytest
from sqlalchemy import make_url

from orders.model import Order
from runtime.settings import Settings
from services.order_placed import SERVICES
from stores.database import check_database_url
from tests.processes import orderlab

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
    assert json.loads(audited.out) == {"checked": 2, "violations": []}
    assert {one.name for one in tmp_path.iterdir()} == {"order.json", name}
    made = {str(one.relative_to(tmp_path / name)) for one in (tmp_path / name).rglob("*.db")}
    assert made == {"temporal.db", *(f"services/{service.name}.db" for service in SERVICES)}
    assert len(list((tmp_path / name / "mail").glob("*.eml"))) == 2
