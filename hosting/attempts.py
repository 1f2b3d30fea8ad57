"""Lets each failure of an activity say which attempt it was: Temporal tells a workflow why, but not how often."""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, is_cancelled_exception
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from hosting.failures import reason_in
from runtime.errors import ATTEMPT


class AttemptsTold(Interceptor):
    """Adds the number of the attempt to the details of whatever an activity raises."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Put ourselves before the activity."""
        return _Telling(next)


class _Telling(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - the SDK's
        try:
            return await super().execute_activity(input)
        except Exception as error:
            if is_cancelled_exception(error):
                raise
            known = error if isinstance(error, ApplicationError) else None
            raise ApplicationError(
                reason_in(error),
                {ATTEMPT: activity.info().attempt},
                *(known.details if known else ()),
                type=(known.type if known else None) or type(error).__name__,
                non_retryable=known is not None and known.non_retryable,
                next_retry_delay=known.next_retry_delay if known else None,
                category=known.category if known else ApplicationErrorCategory.UNSPECIFIED,
            ) from error
