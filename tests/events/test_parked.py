"""The list of what is parked stays within what the server takes of a memo, or it would end the run."""

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter

from events.parked import MEMO, ParkedDelivery, memo_of
from runtime.temporal import MAX_PAYLOAD_BYTES


def parked(number: int, payload: str) -> ParkedDelivery:
    return ParkedDelivery(
        id=f"{number}>note", service="noting", work="note", reason="r" * 500, attempts=1, payload=payload[:4_000]
    )


@pytest.mark.parametrize(
    "payload", ["x" * 4_000, "\U0001f4e6" * 4_000, '\\"' * 2_000, "\0" * 4_000], ids=["text", "emoji", "quotes", "nul"]
)
def test_whatever_is_parked_the_list_fits_into_a_memo_the_oldest_first(payload: str) -> None:
    listed = memo_of(parked(number, payload) for number in range(300))[MEMO]

    assert listed is not None
    assert [entry.id for entry in listed] == [f"{number}>note" for number in range(len(listed))]
    assert 40 <= len(listed) <= 200
    assert len(pydantic_data_converter.payload_converter.to_payload(listed).data) < MAX_PAYLOAD_BYTES


def test_nothing_parked_clears_the_list() -> None:
    assert memo_of([]) == {MEMO: None}
