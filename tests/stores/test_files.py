"""A service whose database file is taken away while it runs does nothing that would be lost, and says why."""

from pathlib import Path

import pytest
from sqlalchemy import MetaData

from runtime.errors import StoreUnavailableError
from stores.contents import known_content
from stores.ledger import Ledger, effects_table

CONTENT = "c" * 32


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shipping.db"


@pytest.fixture
def ledger(file: Path) -> Ledger:
    metadata = MetaData()
    effects_table(metadata)
    ledger = Ledger(f"sqlite:///{file}", metadata)
    ledger.remember("saga", "kept", "shipping", CONTENT)
    return ledger


def with_its_log(file: Path) -> list[Path]:
    return [found for found in file.parent.iterdir() if found.name.startswith(file.name)]


def knows(ledger: Ledger, order_id: str) -> bool:
    contents = effects_table(MetaData()).metadata.tables["order_contents"]
    with ledger.engine.connect() as db:
        return known_content(db, contents, style="saga", order_id=order_id, service="shipping") == CONTENT


def test_nothing_is_written_into_a_file_that_was_deleted_and_none_is_made_in_its_place(
    ledger: Ledger, file: Path
) -> None:
    for found in with_its_log(file):
        found.unlink()

    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="was deleted: put it back"):
            ledger.remember("saga", "late", "shipping", CONTENT)
    assert not file.exists()


def test_a_file_that_was_put_back_is_gone_on_with(ledger: Ledger, file: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    for found in with_its_log(file):
        found.rename(backup / found.name)
    with pytest.raises(StoreUnavailableError, match="was deleted"):
        ledger.remember("saga", "late", "shipping", CONTENT)

    # when it comes back as another file
    for found in backup.iterdir():
        (file.parent / found.name).write_bytes(found.read_bytes())
    with pytest.raises(StoreUnavailableError, match="opened at the next attempt"):
        ledger.remember("saga", "late", "shipping", CONTENT)
    ledger.remember("saga", "late", "shipping", CONTENT)

    assert knows(ledger, "kept")
    assert knows(ledger, "late")


def test_a_file_that_another_has_replaced_is_not_written_to(ledger: Ledger, file: Path, tmp_path: Path) -> None:
    # given an older state of it is put in its place, from a backup say
    metadata = MetaData()
    effects_table(metadata)
    older = Ledger(f"sqlite:///{tmp_path / 'older.db'}", metadata)
    older.remember("saga", "older", "shipping", CONTENT)
    older.engine.dispose()
    for found in with_its_log(file):
        found.unlink()
    (tmp_path / "older.db").rename(file)

    with pytest.raises(StoreUnavailableError, match="was replaced"):
        ledger.remember("saga", "late", "shipping", CONTENT)
    ledger.remember("saga", "late", "shipping", CONTENT)

    assert knows(ledger, "older")
    assert knows(ledger, "late")
    assert not knows(ledger, "kept")
