"""The note by which a bus run says that it follows another one."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from events.bus import SUCCESSION


@workflow.defn(name=SUCCESSION)
class BusSuccession:
    """Does nothing: as its id can be started but once, that it was started says it all (`events/succession.py`)."""

    @workflow.run
    async def run(self) -> None:
        """End at once."""
