"""What an order may be, and that one order is one, however it is written."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from events.edge import order_placed, parse_event
from orders.loader import OrderBook, read_order
from orders.model import Order
from runtime.errors import InputError

LINE: dict[str, Any] = {"stock_code": "85123A", "description": "LANTERN", "quantity": 6, "unit_price": "2.50"}
ORDER: dict[str, Any] = {
    "order_id": "one-1",
    "customer_id": "17850",
    "country": "United Kingdom",
    "placed_at": "2026-11-24T16:00:00Z",
    "lines": [LINE],
}
FREE = {"stock_code": "GIFT", "description": "FREE GIFT", "quantity": 1, "unit_price": "0.00"}


def order_of(price: str = '"2.5"', placed_at: str = '"2026-11-24T16:00:00Z"') -> Order:
    """The order with a price and a time as somebody wrote them in JSON."""
    text = json.dumps({**ORDER, "placed_at": "<time>", "lines": [{**LINE, "unit_price": "<price>"}]})
    return Order.model_validate_json(text.replace('"<time>"', placed_at).replace('"<price>"', price))


@pytest.mark.parametrize(
    "price", ['"2.50"', "2.5", "2.50", "2.500", '"2.500"', '"25e-1"', '" 2.5 "', '"+2.5"', "25e-1"]
)
def test_a_price_written_otherwise_makes_no_other_order(price: str) -> None:
    assert order_of(price=price) == order_of()
    assert order_of(price=price).fingerprint == order_of().fingerprint
    assert order_placed(order_of(price=price)).digest == order_placed(order_of()).digest


@pytest.mark.parametrize(("price", "kept"), [('"10.00"', "10"), ("10", "10"), ('"1E+1"', "10"), ("1e2", "100")])
def test_a_price_in_whole_pounds_is_written_in_figures(price: str, kept: str) -> None:
    assert json.loads(order_of(price=price).model_dump_json())["lines"][0]["unit_price"] == kept


@given(st.integers(1, 100_000_000))
def test_whatever_the_price_all_ways_to_write_it_are_one(pence: int) -> None:
    pounds, rest = divmod(pence, 100)
    ways = {f'"{pounds}.{rest:02d}"', f"{pounds}.{rest:02d}", f'"{pence}e-2"', f'"{pounds}.{rest:02d}000"'}

    assert {order_of(price=way).fingerprint for way in ways} == {order_of(price=f'"{pounds}.{rest:02d}"').fingerprint}
    assert order_of(price=f"{pounds}.{rest:02d}").lines[0].unit_price_pence == pence


@pytest.mark.parametrize(
    "moment",
    ["2026-11-24T11:00:00-05:00", "2026-11-24T16:00:00+00:00", "2026-11-24 16:00:00Z", "2026-11-25T01:00:00.000+09:00"],
)
def test_a_moment_written_otherwise_makes_no_other_order(moment: str) -> None:
    assert order_of(placed_at=f'"{moment}"').fingerprint == order_of().fingerprint


def test_the_time_on_the_shop_s_clock_is_not_taken_for_utc() -> None:
    shop, utc = order_of(placed_at='"2026-11-24T16:00:00"'), order_of()

    assert shop.placed_at.tzinfo is None
    assert shop.fingerprint != utc.fingerprint


@pytest.mark.parametrize(
    "moment",
    ["1700000000", '"1700000000"', '"1700000000.5"', '" 5"', "true", '"0001-01-01T00:00:00+05:00"', '"yesterday"'],
)
def test_a_moment_that_is_not_written_out_or_is_none_is_refused(moment: str) -> None:
    with pytest.raises(ValidationError, match="placed_at"):
        order_of(placed_at=moment)


def test_the_orders_of_the_data_set_keep_the_fingerprints_under_which_they_were_placed(book: OrderBook) -> None:
    placed = hashlib.sha256("".join(order_placed(order).digest for order in book.orders).encode()).hexdigest()
    stored = hashlib.sha256("".join(order.fingerprint for order in book.orders).encode()).hexdigest()

    assert stored == "e899ef451b2dedd0cf5a12a8e4d705e37c1c24e781ab8970b1d98f01d11f01ef"
    assert placed == "41c285ab735de77d9c75bd5592baf34a8987598bbd7913cd8ac5f8e394783264"


def test_a_free_line_beside_one_that_costs_something_is_part_of_the_order() -> None:
    order = Order.model_validate({**ORDER, "lines": [LINE, FREE]})

    assert [line.amount_pence for line in order.lines] == [1500, 0]
    assert order.total_pence == 1500


@pytest.mark.parametrize("price", ["0", "0.00", "-0", 0, -0.0, "0e5"])
def test_an_order_of_free_lines_alone_is_refused(price: object) -> None:
    with pytest.raises(ValidationError, match="every unit_price is 0"):
        Order.model_validate({**ORDER, "lines": [{**FREE, "unit_price": price}, FREE]})


@pytest.mark.parametrize("price", ["-0.01", -1, "1.005", "0.001", "1000000.01", "1e400", "NaN", "Infinity", True, ""])
def test_a_price_that_nobody_can_pay_is_refused(price: object) -> None:
    with pytest.raises(ValidationError, match="unit_price"):
        Order.model_validate({**ORDER, "lines": [LINE, {**FREE, "unit_price": price}]})


@pytest.mark.parametrize(
    "price",
    [
        "2_5.0",
        "2.5_0",
        "\u0662.\u0665\u0660",
        "\uff12.\uff15",
        "\u0967",
        "0x2",
        "2,5",
        "1e",
        "e1",
        ".",
        "+",
        "2.5e\uff11",
        "1e1_0",
    ],
    ids=ascii,
)
def test_a_price_in_other_figures_than_0_to_9_is_refused(price: str) -> None:
    with pytest.raises(ValidationError, match=r"unit_price\n.*must be a number such as '2.55'"):
        order_of(price=json.dumps(price))


@pytest.mark.parametrize("price", ["2.5", " 2.50 ", "+2.5", "25e-1", "25E-1", "0.25e+1", ".25e1", "02.5", "2.500"])
def test_a_price_in_any_way_in_which_a_number_is_written_is_one(price: str) -> None:
    assert order_of(price=json.dumps(price)).lines[0].unit_price_pence == 250


@given(st.text(st.characters(categories=["Nd"]), min_size=1, max_size=3))
def test_whatever_the_digits_only_ours_are_a_price(digits: str) -> None:
    if digits.isascii() and int(digits):
        assert order_of(price=json.dumps(digits)).lines[0].unit_price_pence == 100 * int(digits)
    else:
        with pytest.raises(ValidationError, match="unit_price"):
            order_of(price=json.dumps(digits))


@pytest.mark.parametrize("field", ["order_id", "customer_id", "country", "description", "stock_code"])
def test_a_text_that_postgresql_could_not_hold_is_refused(tmp_path: Path, field: str) -> None:
    file = tmp_path / "order.json"
    line = {**LINE, field: "a\0b"} if field in LINE else LINE
    file.write_text(json.dumps({**ORDER, **({} if field in LINE else {field: "a\0b"}), "lines": [line]}))

    with pytest.raises(InputError, match=field):
        read_order(file)


UNSEEN = ["a\u202eb", "\u200b", "a\ufeffb", "a\x7fb", "a\x85b", "\u200d", "a\u200db", "\u3164", "a\ue000b"]


@pytest.mark.parametrize("text", UNSEEN, ids=ascii)
@pytest.mark.parametrize("field", ["country", "description"])
def test_a_text_that_can_t_be_seen_is_refused_wherever_an_order_comes_in(tmp_path: Path, field: str, text: str) -> None:
    # given an order that hides something in a text
    told = {**ORDER, "lines": [LINE, {**LINE, field: text}]} if field in LINE else {**ORDER, field: text}
    file = tmp_path / "order.json"
    file.write_text(json.dumps(told))
    event = {"specversion": "1.0", "id": "e", "source": "/erp", "type": "order.placed", "subject": "one-1"}
    # when it comes in as a file, or as an event
    with pytest.raises(InputError) as as_a_file:
        read_order(file)
    with pytest.raises(InputError) as as_an_event:
        parse_event(json.dumps({**event, "data": told}).encode(), where="my event")

    # then it is refused by the same words, and one that was placed before is still read
    place = "country" if field == "country" else "lines.1.description"
    assert str(as_a_file.value).startswith(f"{file} is no order: {place}: ")
    assert str(as_an_event.value) == str(as_a_file.value).replace(
        f"{file} is no order", "my event: data of order.placed"
    )
    assert Order.model_validate(told).order_id == "one-1"


@pytest.mark.parametrize(
    "text", ["C\u00f4te d'Ivoire", "\u4e2d\u56fd", "\U0001f468\u200d\U0001f469", "T-LIGHT \u2764\ufe0f"], ids=ascii
)
def test_any_text_that_can_be_seen_may_be_in_an_order(tmp_path: Path, text: str) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps({**ORDER, "country": text, "lines": [{**LINE, "description": text}]}))

    assert read_order(file).country == read_order(file).lines[0].description == text


def test_an_order_in_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(ORDER), encoding="utf-8-sig")

    assert read_order(file) == Order.model_validate(ORDER)


def test_an_order_that_names_a_field_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(ORDER).replace('"quantity": 6', '"quantity": 6, "quantity": 60'))

    with pytest.raises(InputError, match="'quantity' is there twice"):
        read_order(file)
