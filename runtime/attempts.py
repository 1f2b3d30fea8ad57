"""How often, how long and for which errors a piece of work is tried: declared once per service, used by both styles."""

from datetime import timedelta
from typing import TypedDict

from pydantic import BaseModel, ConfigDict
from temporalio.common import RetryPolicy


class ActivityOptions(TypedDict):
    """The options of `workflow.execute_activity` that a policy decides."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta | None
    retry_policy: RetryPolicy


class AttemptPolicy(BaseModel):
    """Timeouts and retries of one service's work; all times in seconds."""

    model_config = ConfigDict(frozen=True)

    attempt_s: float = 5
    """Longest single attempt: also how long the work of a killed worker waits for its next one, without heartbeats."""
    heartbeat_s: float | None = None
    """A worker that is not heard of for so long was killed, and what it was at is tried again; for long attempts."""
    first_retry_s: float = 0.2
    backoff: float = 2
    longest_pause_s: float = 60
    window_s: float
    """After this time the work is given up; it must exceed the longest planned outage of the service."""
    non_retryable: tuple[str, ...] = (
        "OrderIdTakenError",
        "SupersededError",
        "StoreRefusedError",
        "NoResultFound",
        "MailRefusedError",
        "PermanentFaultError",
        "ValidationError",
        "PydanticSerializationError",
    )
    """Error types that no further attempt can cure; pydantic's two are of input, and of an answer, that is none, and
    SQLAlchemy's is of a row that has gone from beside the key that tells of it."""

    def options(self) -> ActivityOptions:
        """The same as Temporal's activity options."""
        return {
            "start_to_close_timeout": timedelta(seconds=self.attempt_s),
            "schedule_to_close_timeout": timedelta(seconds=self.window_s),
            "heartbeat_timeout": None if self.heartbeat_s is None else timedelta(seconds=self.heartbeat_s),
            "retry_policy": RetryPolicy(
                initial_interval=timedelta(seconds=self.first_retry_s),
                backoff_coefficient=self.backoff,
                maximum_interval=timedelta(seconds=self.longest_pause_s),
                non_retryable_error_types=list(self.non_retryable),
            ),
        }
