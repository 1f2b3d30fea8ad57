"""The files that people hand in: one encoding, however it is marked, and JSON that means one thing."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.documents import json_of, read_file, text_of
from runtime.errors import InputError

DOCUMENT = '{"name": "Grüße"}'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_is_read_with_and_without_a_byte_order_mark(encoding: str) -> None:
    assert text_of(DOCUMENT.encode(encoding), where="my.json") == DOCUMENT


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_a_wider_encoding_is_refused_by_its_name(encoding: str) -> None:
    with pytest.raises(InputError, match=r"can't read my\.json: it is in UTF-(16|32); save it as UTF-8"):
        text_of(DOCUMENT.encode(encoding), where="my.json")


@pytest.mark.parametrize("text", [DOCUMENT, "[]", "{", "1", "InvoiceNo,\u00e9"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16", "utf-32"])
def test_a_wider_encoding_is_told_by_its_own_name_with_a_mark_and_without(encoding: str, text: str) -> None:
    with pytest.raises(InputError, match=rf"it is in {encoding[:6].upper()};"):
        text_of(text.encode(encoding), where="my.json")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("1e400", "1e400"),
        ("1.7976931348623159e308", "1.7976931348623159e308"),
        ("1.797693134862315912345e308", "1.7976931348...2345e308"),
        (f"1{'0' * 400}.5", "100000000000...000000.5"),
        (f"0.{'0' * 400}1", "0.0000000000...00000001"),
    ],
)
def test_a_number_beyond_a_double_is_shown_as_it_begins_and_as_it_ends(number: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        json_of(f"[{number}]", where="my.json")

    assert str(refused.value) == f"my.json: the number {told} is beyond what a double can hold"


@pytest.mark.parametrize("content", [DOCUMENT.encode("latin-1"), b"\x1f\x8b\x08\x00", b"{\xed\xa0\x80}"])
def test_a_file_that_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="not in UTF-8"):
        text_of(content, where="my.json")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1, "a": 2}', "the name 'a' is there twice"),
        ('[{"b": {"x": 1, "a": 2, "x": 1}}]', "the name 'x' is there twice"),
        ("[1e400]", "1e400 is beyond"),
        ("[-1E+309]", "-1E.309 is beyond"),
        ("[1e-400]", "1e-400 is beyond"),
        ("[NaN]", "not JSON"),
        ("[Infinity]", "not JSON"),
        ('["\\ud800"]', "not JSON"),
        ("[1,]", "not JSON"),
        ("", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 300 + "1" + "}" * 300, "nested too deeply"),
        ("9" * 5_000, "out of range"),
    ],
    ids=lambda given: given[:20],
)
def test_json_that_readers_would_not_all_understand_alike_is_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        json_of(text, where="my.json")


@pytest.mark.parametrize("text", ["0e999", "-0.0", "1.7976931348623157e308", "5e-324", "0.000", "0.1e-5"])
def test_a_number_that_a_double_holds_is_taken(text: str) -> None:
    assert json_of(text, where="my.json") == float(text)


@given(json_values)
def test_a_document_that_a_writer_of_json_wrote_is_read_as_it_was(document: object) -> None:
    assert json_of(json.dumps(document), where="my.json") == document


@pytest.mark.parametrize("name", ["missing.json", ".", "x" * 5_000, "a\0b"])
def test_a_file_that_can_t_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="can't read the plan "):
        read_file(tmp_path / name, what="the plan ")
