"""The house itself: what is written beside the code agrees with it."""

import ast
import json
import re

import jsonschema
import pytest

from events.catalogue import CATALOGUE
from events.edge import order_placed
from lab.event_table import PAGE, table
from lab.schemas import DIRECTORY, schemas
from orders.loader import load_orders, read_order
from runtime.settings import PROJECT, SHIPPED_ORDERS

PACKAGES = (
    *("activities", "events", "faults", "hosting", "lab", "orders"),
    *("runtime", "server", "services", "stores", "workflows"),
)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_the_two_programs(package: str) -> None:
    # import-linter looks at packages only, and client.py and worker.py are files
    for file in (PROJECT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"client", "worker"} & set(imported), file


def test_the_published_schemas_are_those_of_the_catalogue() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in DIRECTORY.glob("*.json")}

    assert written == schemas(), "run `make schemas`"
    assert len(written) == len(CATALOGUE)


async def test_the_table_of_the_choreography_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == await table(), "run `make schemas`"


def test_a_real_order_fits_its_published_schema_and_a_broken_one_does_not() -> None:
    schema = json.loads((DIRECTORY / "order.placed.json").read_text(encoding="utf-8"))
    data = order_placed(load_orders(SHIPPED_ORDERS).orders[0]).data
    assert isinstance(data, dict)

    jsonschema.validate(data, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "lines": []}, schema)


def test_the_shipped_example_is_an_order_that_can_be_placed() -> None:
    assert read_order(PROJECT / "data" / "my-order.json").order_id == "my-order-1"


def test_the_data_set_names_its_authors_and_licence() -> None:
    text = (PROJECT / "data" / "README.md").read_text(encoding="utf-8")

    assert "Chen, D. (2015)" in text
    assert "CC BY 4.0" in text


def test_each_guarantee_names_tests_that_exist() -> None:
    page = (PROJECT / "docs" / "guarantees.md").read_text(encoding="utf-8")

    for chapter in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", chapter)
        assert named, chapter.splitlines()[0]
        for file, test in named:
            assert f"def {test}(" in (PROJECT / file).read_text(encoding="utf-8"), test
    assert re.findall(r"^## (\d+)\.", page, flags=re.MULTILINE) == [str(number) for number in range(1, 11)]
