"""Writes failures so that the server keeps them: bounded in bytes, with the reason's beginning and the innermost place.

The server keeps the last failure of work that it will try again, if it has no more than 4 KiB; of a larger one it says
"Failure exceeds size limit" instead, and the reason is in a cause of that.
"""

import copy
from collections.abc import Iterator

from pydantic import ValidationError
from sqlalchemy.exc import StatementError
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError, FailureError

from orders.loader import first_complaint
from stores.refusals import driver_message

MOST_BYTES = 4_096
"""What the server keeps by default (`limit.mutableStateActivityFailureSize.error`, 1.29.1), to the byte."""

_LONGEST_CHAIN = 4
"""The failure itself, and its innermost causes."""
_LONGEST_MESSAGE_BYTES = 1_200
_LONGEST_CAUSE_BYTES = 200
_LONGEST_TYPE_BYTES = 150
_LONGEST_DETAILS_BYTES = 600
_LENGTHS_BYTES = 8
"""A text that becomes longer needs more bytes for its length, and so do all that hold it."""
_CUT = "…"


def reason_in(error: BaseException) -> str:
    """Why it failed, as a person is told: without what SQLAlchemy and pydantic quote of their input at length."""
    if isinstance(error, ApplicationError):
        return error.message
    if isinstance(error, ValidationError):
        return f"{error.title}: {first_complaint(error)}"
    if _is_of_a_database(error):
        return driver_message(error)
    return str(error)


class BoundedFailures(DefaultFailureConverter):
    """The SDK's way of writing failures; what would be too large is cut where a person misses it least."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Write an error. Called for each of its causes, too."""
        super().to_failure(_presentable(exception), payload_converter, failure)
        if failure.ByteSize() > MOST_BYTES:
            _bound(failure)


def _quotes_its_input(error: BaseException) -> bool:
    return isinstance(error, ValidationError) or _is_of_a_database(error)


def _is_of_a_database(error: BaseException) -> bool:
    return isinstance(error, StatementError) or getattr(error, "diag", None) is not None


def _presentable(error: BaseException) -> BaseException:
    """The same error, or one in its place: with few causes, and telling no more than `reason_in`."""
    chain = list(_causes(error))
    in_circle = chain[-1].__cause__ is not None
    if len(chain) <= _LONGEST_CHAIN and not in_circle:
        return _stand_in(error, error.__cause__) if _quotes_its_input(error) else error
    shown: BaseException | None = None
    for link in reversed([chain[0], *chain[1:][1 - _LONGEST_CHAIN :]]):
        shown = _stand_in(link, shown)
    return shown or error


def _stand_in(error: BaseException, cause: BaseException | None) -> BaseException:
    """Tells the same with another cause; errors themselves are not ours to alter."""
    if isinstance(error, FailureError):
        shown: BaseException = copy.copy(error)
    else:
        shown = ApplicationError(reason_in(error), type=type(error).__name__)
    shown.__traceback__ = error.__traceback__
    shown.__cause__ = cause
    return shown


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, its cause, the cause of that, and so on, as the SDK goes through them; each once."""
    at: BaseException | None = error
    seen: set[int] = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        is_shown = isinstance(at, FailureError) and not at.__suppress_context__
        at = at.__cause__ or (at.__context__ if is_shown else None)


def _bound(failure: Failure) -> None:
    """Cut messages and details, and give the stacks what room is left, each the end of it."""
    chain = list(_chain(failure))
    stacks = [link.stack_trace for link in chain]
    for number, link in enumerate(chain):
        link.stack_trace = ""
        link.message = _beginning(link.message, _LONGEST_CAUSE_BYTES if number else _LONGEST_MESSAGE_BYTES)
        if link.HasField("application_failure_info"):
            info = link.application_failure_info
            info.type = _beginning(info.type, _LONGEST_TYPE_BYTES)
            if info.details.ByteSize() > _LONGEST_DETAILS_BYTES:
                del info.details.payloads[1:]  # the first of a service's failure is ours: which attempt it was
            if number or info.details.ByteSize() > _LONGEST_DETAILS_BYTES:
                info.ClearField("details")
    if failure.ByteSize() > MOST_BYTES:  # what the causes carry is of a kind that nobody has met here
        failure.ClearField("cause")
        chain = chain[:1]
    # The innermost comes first: the failure's own stack is that of whoever told of the error, not of where it broke.
    for link, stack in reversed(list(zip(chain, stacks, strict=False))):
        room = MOST_BYTES - failure.ByteSize() - _LENGTHS_BYTES * len(chain)
        link.stack_trace = _end(stack, max(0, room // 2))


def _chain(failure: Failure) -> Iterator[Failure]:
    """A failure, its cause, the cause of that, and so on."""
    yield failure
    while failure.HasField("cause"):
        failure = failure.cause
        yield failure


def _beginning(text: str, most_bytes: int) -> str:
    if len(text.encode()) <= most_bytes:
        return text
    return text.encode()[: most_bytes - len(_CUT.encode())].decode(errors="ignore") + _CUT


def _end(text: str, most_bytes: int) -> str:
    """The last lines that have room."""
    if len(text.encode()) <= most_bytes:
        return text
    return text.encode()[len(text.encode()) - most_bytes :].decode(errors="ignore").partition("\n")[2]
