"""Clients to whom something happens between two of their calls: what others do just then, or the server by itself."""

from collections.abc import Awaitable, Callable

from temporalio.client import (
    Client,
    DescribeWorkflowInput,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowExecutionDescription,
    WorkflowHandle,
)

Deed = Callable[[], Awaitable[object]]


async def _nothing() -> None:
    """Nobody does anything."""


class _Meanwhile(Interceptor):
    def __init__(self, after_looking: Deed, before_starting: Deed, first_look_at: str | None) -> None:
        self.after_looking, self.before_starting = after_looking, before_starting
        self.first_look_at = first_look_at

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's name
        return _Calls(next, self)


class _Calls(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, meanwhile: _Meanwhile) -> None:
        super().__init__(following)
        self._meanwhile = meanwhile

    async def describe_workflow(self, input: DescribeWorkflowInput) -> WorkflowExecutionDescription:  # noqa: A002
        input.run_id, self._meanwhile.first_look_at = self._meanwhile.first_look_at or input.run_id, None
        described = await super().describe_workflow(input)
        deed, self._meanwhile.after_looking = self._meanwhile.after_looking, _nothing
        await deed()
        return described

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[object, object]:  # noqa: A002
        deed, self._meanwhile.before_starting = self._meanwhile.before_starting, _nothing
        await deed()
        return await super().start_workflow(input)


def meanwhile(
    client: Client,
    *,
    after_looking: Deed = _nothing,
    before_starting: Deed = _nothing,
    first_look_at: str | None = None,
) -> Client:
    """A client of the same server.

    Args:
        client: of the server.
        after_looking: is done once, when the client has been told how a workflow stands.
        before_starting: is done once, just before the client starts a workflow.
        first_look_at: the run that it is told of at its first look: one that was the latest until just now.
    """
    config = client.config()
    config["interceptors"] = [*config["interceptors"], _Meanwhile(after_looking, before_starting, first_look_at)]
    return Client(**config)
