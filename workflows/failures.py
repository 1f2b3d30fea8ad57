"""Reads why Temporal gave an activity up."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType, is_cancelled_exception
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

with workflow.unsafe.imports_passed_through():
    from runtime.errors import ATTEMPT, OrderIdTakenError, SupersededError

_LONGEST_REASON = 500
"""It becomes part of the log, which has to stay small."""


def is_superseded(error: ActivityError) -> bool:
    """Whether the work was refused because it has been compensated, before it happened or since."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == SupersededError.__name__


def refusal_of(error: ActivityError) -> str | None:
    """Why the work was refused, where that is because the order id belongs to an order with other content."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == OrderIdTakenError.__name__:
        return cause.message[:_LONGEST_REASON]
    return None


def was_cancelled(error: ActivityError) -> bool:
    """Whether the activity was called off, which is no failure of it; also between two attempts."""
    return is_cancelled_exception(error) or error.retry_state is RetryState.CANCEL_REQUESTED


def attempts_of(error: ActivityError) -> int:
    """How often the activity was tried; 0 where no worker ever took it. Our workers tell it with each failure."""
    cause = error.cause
    failure = cause.cause if isinstance(cause, ActivityTimeoutError) else cause
    if isinstance(failure, ApplicationError) and failure.details and isinstance(failure.details[0], dict):
        attempt = failure.details[0].get(ATTEMPT)
        return attempt if isinstance(attempt, int) else 0
    return 0


def reason_of(error: ActivityError) -> str:
    """Why an activity was given up, in one line of at most 500 characters.

    The end of the retry window comes in three ways: as SCHEDULE_TO_CLOSE; as SCHEDULE_TO_START where no worker ever
    took the work; and as the failure of the last attempt where the next one would come too late.
    """
    cause = error.cause
    last: object = cause or error
    if isinstance(cause, ActivityTimeoutError):
        took_too_long = cause.type is TimeoutType.START_TO_CLOSE
        last = cause.cause or ("the attempt took too long" if took_too_long else "no worker took it")
    window_over = isinstance(cause, ActivityTimeoutError) or error.retry_state is RetryState.TIMEOUT
    reason = f"retry window over: {last}" if window_over else str(last)
    return " ".join(reason.split())[:_LONGEST_REASON]
