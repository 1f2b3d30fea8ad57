"""How failures are written: bounded, with the reason's beginning and the place where it broke, and nobody's data."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

from hosting.failures import MOST_BYTES, BoundedFailures, reason_in
from runtime.errors import ATTEMPT

_PAYLOADS = DataConverter.default.payload_converter


def written(error: BaseException, by: Any = None) -> Failure:  # noqa: ANN401 - either converter
    failure = Failure()
    (by or BoundedFailures()).to_failure(error, _PAYLOADS, failure)
    return failure


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """The error as it is caught, with a traceback."""
    try:
        raise error from cause  # noqa: TRY301 - so that it has a traceback
    except BaseException as caught:  # noqa: BLE001 - that is what this is for
        return caught


def told(error: BaseException) -> BaseException:
    """The error as our interceptor raises it."""
    return raised(ApplicationError(reason_in(error), {ATTEMPT: 7}, type=type(error).__name__), error)


def chain_of(failure: Failure) -> list[Failure]:
    chain = [failure]
    while chain[-1].HasField("cause"):
        chain.append(chain[-1].cause)
    return chain


def of_size(size: int) -> ApplicationError:
    """An error whose failure has exactly so many bytes."""
    spare = Failure()
    DataConverter.default.failure_converter.to_failure(ApplicationError("x" * 2_000), _PAYLOADS, spare)
    error = ApplicationError("x" * (2_000 + size - spare.ByteSize()))
    assert written(error, DataConverter.default.failure_converter).ByteSize() == size
    return error


def test_a_failure_just_as_large_as_the_server_keeps_is_written_as_it_is() -> None:
    error = of_size(MOST_BYTES)

    assert written(error) == written(error, DataConverter.default.failure_converter)


def test_one_byte_more_and_it_is_cut_and_says_so() -> None:
    failure = written(of_size(MOST_BYTES + 1))

    assert failure.ByteSize() <= MOST_BYTES
    assert failure.message.startswith("xxx")
    assert failure.message.endswith("…")


@pytest.mark.parametrize("letter", ["x", "é", "漢", "🙂"])
def test_a_long_reason_in_any_script_is_cut_between_two_characters(letter: str) -> None:
    failure = written(told(raised(RuntimeError("why: " + letter * 50_000))))

    assert failure.ByteSize() <= MOST_BYTES
    assert failure.message.startswith(f"why: {letter * 200}")
    assert set(failure.message.removeprefix("why: ")) == {letter, "…"}


@pytest.mark.parametrize("links", [5, 50, 2_000])
def test_of_a_deep_chain_of_causes_the_first_and_the_last_are_told(links: int) -> None:
    error: BaseException = raised(ValueError("the root of it"))
    for number in range(links):
        error = raised(RuntimeError(f"link {number}: {'y' * 300}"), error)

    failure = written(told(error))

    chain = chain_of(failure)
    assert failure.ByteSize() <= MOST_BYTES
    assert chain[0].message.startswith(f"link {links - 1}: ")
    assert chain[-1].message == "the root of it"
    assert "test_failures.py" in chain[-1].stack_trace


def test_errors_that_name_each_other_as_their_cause_come_to_an_end() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one

    assert written(told(one)).ByteSize() <= MOST_BYTES


def dig(depth: int) -> None:
    if depth:
        dig(depth - 1)
    raise LookupError("z" * 3_000)


def test_of_a_long_traceback_the_innermost_place_is_told() -> None:
    with pytest.raises(LookupError) as dug:
        dig(400)

    failure = written(told(dug.value))

    assert failure.ByteSize() <= MOST_BYTES
    innermost = chain_of(failure)[-1].stack_trace
    assert innermost.rstrip().endswith('raise LookupError("z" * 3_000)')


class _Amounts(BaseModel):
    amounts: list[int]


def test_of_a_thousand_complaints_the_first_is_told_and_how_many_more_there_are() -> None:
    with pytest.raises(ValidationError) as invalid:
        _Amounts.model_validate({"amounts": ["many"] * 1_000})

    failure = written(told(invalid.value))

    assert failure.ByteSize() <= MOST_BYTES
    assert "amounts.0: Input should be a valid integer" in failure.message
    assert "and 999 more" in failure.message
    assert failure.application_failure_info.type == "ValidationError"


class _DriverError(Exception):
    pass


def database_error(said: str) -> DBAPIError:
    return DBAPIError("INSERT INTO mails VALUES (:address)", {"address": "jane@home.example"}, _DriverError(said))


def test_of_a_databases_error_neither_statement_nor_parameters_are_told_anywhere() -> None:
    error = raised(RuntimeError("can't write"), raised(database_error("value too long"), raised(_DriverError("value"))))

    failure = written(told(error))

    assert "jane" not in str(failure)
    assert "INSERT" not in str(failure)
    assert "value too long" in str(failure)


def test_the_number_of_the_attempt_survives_details_that_are_too_large() -> None:
    failure = written(ApplicationError("no", {ATTEMPT: 7}, "d" * 10_000, type="Odd", non_retryable=True))

    assert failure.ByteSize() <= MOST_BYTES
    assert len(failure.application_failure_info.details.payloads) == 1
    assert b"7" in failure.application_failure_info.details.payloads[0].data
    assert failure.application_failure_info.non_retryable
    assert failure.application_failure_info.type == "Odd"


def test_large_details_of_a_timeout_among_the_causes_make_nothing_too_large() -> None:
    timeout = ActivityTimeoutError("late", type=TimeoutType.HEARTBEAT, last_heartbeat_details=["h" * 10_000])

    failure = written(raised(ApplicationError("why"), timeout))

    assert failure.ByteSize() <= MOST_BYTES
    assert failure.message == "why"


_TEXTS = st.text(max_size=40).flatmap(lambda text: st.integers(0, 400).map(lambda times: text * times))


@given(reasons=st.lists(_TEXTS, min_size=1, max_size=9), kind=st.sampled_from([ValueError, ApplicationError]))
def test_whatever_fails_it_fits_and_the_reason_begins_as_it_did(
    reasons: list[str], kind: Callable[[str], BaseException]
) -> None:
    error: BaseException | None = None
    for reason in reasons:
        error = raised(kind(reason), error)
    assert error is not None

    failure = written(told(error))

    assert failure.ByteSize() <= MOST_BYTES
    assert failure.message.removesuffix("…") == reasons[-1][: len(failure.message.removesuffix("…"))]
    assert len(failure.message.encode()) >= min(1_190, len(reasons[-1].encode()))
