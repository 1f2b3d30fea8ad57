"""Reads why Temporal gave an activity up."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

with workflow.unsafe.imports_passed_through():
    from runtime.errors import SupersededError


def is_superseded(error: ActivityError) -> bool:
    """Whether the work was refused because it had been compensated before it happened."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == SupersededError.__name__


def reason_of(error: ActivityError) -> str:
    """Why an activity was given up, in one line.

    The end of the retry window comes as SCHEDULE_TO_CLOSE, or as SCHEDULE_TO_START where no worker ever took the work.
    A cancelled activity is no failure: its cancellation goes on.
    """
    if is_cancelled_exception(error):
        raise error
    cause = error.cause
    if isinstance(cause, ActivityTimeoutError):
        last = cause.cause
        return f"retry window over: {last or 'no worker took it'}"
    return str(cause or error)
