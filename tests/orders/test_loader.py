"""The real orders: what is taken, what is refused, and that no penny is lost."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.loader import OrderBook, load_orders
from orders.model import Order, OrderLine
from runtime.errors import InputError
from runtime.settings import SHIPPED_ORDERS

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def test_every_invoice_of_the_data_set_is_sold_refused_or_a_cancellation(book: OrderBook) -> None:
    with SHIPPED_ORDERS.open(encoding="utf-8") as file:
        invoices = {row["InvoiceNo"] for row in csv.DictReader(file)}

    assert (len(book.orders), book.guests, book.cancellations) == (424, 23, 43)
    assert len(book.orders) + book.orders_refused + book.cancellations == len(invoices) == 512
    assert book.lines_refused == 46
    assert book.lines_refused_by_reason == {"price 0": 46, "no description": 42, "quantity below 1": 30}
    assert book.orders_refused_by_reason == {"price 0": 45, "no description": 42, "quantity below 1": 30}


def test_the_orders_add_up_to_the_pennies_of_the_file(book: OrderBook) -> None:
    with SHIPPED_ORDERS.open(encoding="utf-8") as file:
        expected = sum(
            Decimal(row["UnitPrice"]) * int(row["Quantity"])
            for row in csv.DictReader(file)
            if not row["InvoiceNo"].startswith("C") and int(row["Quantity"]) > 0
        )

    assert sum(order.total_pence for order in book.orders) == expected * 100


def test_one_sellable_line_is_enough_for_an_order(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(f"{HEADER}1,A,GOOD,1,2010-12-01T08:26:00,1.10,,France\n1,B,,1,2010-12-01T08:26:00,0,,France\n")

    book = load_orders(file)

    assert [line.stock_code for line in book.orders[0].lines] == ["A"]
    assert book.orders[0].is_guest
    assert (book.lines_refused, book.orders_refused) == (1, 0)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "can't read"),
        (b"\xff\xfe", "can't read .*UTF-16"),
        (HEADER.encode("utf-16"), "can't read .*UTF-16"),
        (b"InvoiceNo,\xe9", "can't read .*not in UTF-8"),
        (b"a,b\n1,2\n", "no column 'InvoiceNo'"),
        (b"", "no column 'InvoiceNo'"),
        (HEADER.replace(",", ";").encode(), "no column 'InvoiceNo'"),
        (HEADER.replace("UnitPrice,", "").encode(), "no column 'UnitPrice'"),
        (HEADER.encode(), "no order that can be sold"),
        (f"{HEADER}C1,A,B,-1,2010-12-01T08:26:00,1,,France\n".encode(), "no order that can be sold"),
    ],
    ids=lambda given: ascii(given)[:30],
)
def test_a_file_that_holds_no_orders_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "orders.csv"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(InputError, match=told):
        load_orders(file)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1,A,GOOD,1,2010-12-01T08:26:00,1.10", "line 3: CustomerID: the line ends before it"),
        ("1", "line 3: StockCode: the line ends before it"),
        ("1,A,GOOD, MORE,1,2010-12-01T08:26:00,1.10,,France", "line 3: there are more values than columns"),
        (",A,GOOD,1,2010-12-01T08:26:00,1.10,,France", "line 3: InvoiceNo"),
        ("1,A,GOOD,one,2010-12-01T08:26:00,1.10,,France", "line 3: Quantity: 'one'"),
        ("1,A,GOOD,1.5,2010-12-01T08:26:00,1.10,,France", "line 3: Quantity: '1.5'"),
        ("1,A,GOOD,,2010-12-01T08:26:00,1.10,,France", "line 3: Quantity: ''"),
        ("1,A,GOOD,1,12/1/2010 8:26,1.10,,France", "line 3: InvoiceDate: '12/1/2010 8:26'"),
        ("1,A,GOOD,1,,1.10,,France", "line 3: InvoiceDate"),
        ("1,A,GOOD,1,2010-12-01T08:26:00,cheap,,France", "line 3: UnitPrice: 'cheap'"),
        ("1,A,GOOD,1,2010-12-01T08:26:00,NaN,,France", "line 3: UnitPrice: 'NaN'"),
        ('1,A,GOOD,1,2010-12-01T08:26:00,"1,10",,France', "line 3: UnitPrice: '1,10'"),
        ("1,A,GOOD,1,2010-12-01T08:26:00,1.105,,France", "line 3: UnitPrice"),
        ("1,A,GOOD,9999999,2010-12-01T08:26:00,1.10,,France", "line 3: Quantity"),
        ("1,A/B,GOOD,1,2010-12-01T08:26:00,1.10,,France", "line 3: StockCode"),
        ("1,A,GOOD,1,2010-12-01T08:26:00,1.10,a customer,France", "line 3: CustomerID"),
        ("1,A,GOOD,1,2010-12-01T08:26:00,1.10,,", "line 3: Country"),
        ("1/2,A,GOOD,1,2010-12-01T08:26:00,1.10,,France", "line 3: InvoiceNo"),
        ('1,A,"GOOD,1,2010-12-01T08:26:00,1.10,,France', "after line 2: unexpected end"),
        (f"1,A,{'x' * 201},1,2010-12-01T08:26:00,1.10,,France", "line 3: Description"),
    ],
    ids=lambda given: given[:40],
)
def test_a_line_that_can_t_be_understood_is_refused_by_line_and_column(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(f"{HEADER}0,A,GOOD,1,2010-12-01T08:26:00,1.10,,France\n{line}\n")

    with pytest.raises(InputError, match=rf"orders\.csv, {told}") as refused:
        load_orders(file)

    assert len(str(refused.value)) < 400
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1,A,GOOD,1,2010-12-01T08:26:00,1.105,,France", "UnitPrice: Decimal input should have no more than 2 "),
        ("1,A,GOOD,9999999,2010-12-01T08:26:00,1.10,,France", "Quantity: Input should be less than or equal to "),
        ("1,A,GOOD,1,2010-12-01T08:26:00,1.10,a customer,France", "CustomerID: String should match pattern "),
        ("1,A,GOOD,1,2010-12-01T08:26:00,1.10,,", "Country: String should have at least 1 character"),
        (
            "1,A,GO\u200bOD,1,2010-12-01T08:26:00,1.10,,France",
            "Description: character 3 is U+200B, which can't be seen",
        ),
        ("1,A,GOOD,1,2010-12-01T08:26:00,1.10,,Fr\u202eance", "Country: character 3 is U+202E, which can't be seen"),
    ],
    ids=lambda given: ascii(given)[:40],
)
def test_what_is_wrong_in_a_column_is_said_with_its_name_once(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(f"{HEADER}{line}\n", encoding="utf-8")

    with pytest.raises(InputError) as refused:
        load_orders(file)

    assert str(refused.value).startswith(f"{file}, line 2: {told}")


def test_an_order_of_too_many_lines_is_said_once_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(HEADER + "1,A,GOOD,1,2010-12-01T08:26:00,1.10,,France\n" * 5_001)

    with pytest.raises(InputError, match=r", line 2: lines: Tuple should have at most 5000 items"):
        load_orders(file)


@pytest.mark.parametrize("column", HEADER.strip().split(","))
def test_a_column_that_is_there_twice_is_refused_by_its_name(tmp_path: Path, column: str) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(f"{HEADER.strip()},{column}\n1,A,GOOD,1,2010-12-01T08:26:00,1.10,,France,1\n")

    with pytest.raises(InputError, match=rf"orders\.csv has the column '{column}' twice"):
        load_orders(file)


def test_a_price_below_0_is_no_price_of_0(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    prices = ("1", "0", "0.00", "-1", "-0.01", "-0")
    lines = [f"{number},A,GOOD,1,2010-12-01T08:26:00,{price},,France\n" for number, price in enumerate(prices)]
    file.write_text(HEADER + "".join(lines))

    assert load_orders(file).lines_refused_by_reason == {"price 0": 3, "price below 0": 2}


def test_a_data_set_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(f"{HEADER}1,A,GOOD,1,2010-12-01T08:26:00,1.10,,France\n", encoding="utf-8-sig")

    assert [order.order_id for order in load_orders(file).orders] == ["1"]


def test_an_order_that_is_not_there_is_refused(book: OrderBook) -> None:
    with pytest.raises(InputError, match="no order '1'"):
        book.find("1")


@given(st.integers(0, 1_000), st.integers())
def test_as_many_distinct_orders_are_drawn_as_asked_for_and_the_same_for_a_seed(
    book: OrderBook, count: int, seed: int
) -> None:
    drawn = book.take(count, seed, "run")

    assert len({order.order_id for order in drawn}) == count
    assert all(order.order_id.endswith(".run") for order in drawn)
    assert drawn == book.take(count, seed, "run")


lines = st.builds(
    OrderLine,
    stock_code=st.from_regex(r"[A-Z0-9]{1,8}", fullmatch=True),
    description=st.from_regex(r"[A-Z][A-Z ]{0,20}[A-Z]", fullmatch=True),
    quantity=st.integers(1, 10_000),
    unit_price=st.integers(1, 1_000_000).map(lambda pence: Decimal(pence) / 100),
)
orders = st.builds(
    Order,
    order_id=st.from_regex(r"[0-9]{6}", fullmatch=True),
    customer_id=st.none() | st.from_regex(r"[0-9]{5}", fullmatch=True),
    country=st.sampled_from(["United Kingdom", "EIRE"]),
    placed_at=st.datetimes(),
    lines=st.lists(lines, min_size=1, max_size=5).map(tuple),
)


@given(orders)
def test_an_order_comes_back_from_json_as_it_was_to_the_penny(order: Order) -> None:
    again = Order.model_validate_json(order.model_dump_json())

    assert again == order
    assert again.total_pence == sum(int(line.unit_price * 100) * line.quantity for line in order.lines)


def test_a_blank_customer_is_a_guest(order: Order) -> None:
    assert Order.model_validate({**order.model_dump(), "customer_id": " "}).is_guest
