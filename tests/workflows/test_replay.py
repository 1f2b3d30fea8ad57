"""Histories of real runs, replayed on today's code."""

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from hosting.composition import WORKFLOWS
from lab.replay import histories_in
from runtime.temporal import ORDERLAB_PLUGIN
from tests.record_histories import CANCELLED, FAILING, HISTORIES
from tests.workflows.reordered import ReorderedBus, ReorderedSaga

RECORDED = histories_in(HISTORIES)


def test_every_case_is_recorded_in_both_styles() -> None:
    names = {history.workflow_id for history in RECORDED}

    assert {
        f"{style}-{case}" for style in ("saga", "choreography") for case in (*FAILING, *CANCELLED, "guest")
    } <= names


@pytest.mark.parametrize("runner", [SandboxedWorkflowRunner(), UnsandboxedWorkflowRunner()], ids=["sandbox", "none"])
@pytest.mark.parametrize("history", RECORDED, ids=lambda history: history.workflow_id)
async def test_today_s_code_still_decides_as_it_did(history: WorkflowHistory, runner: WorkflowRunner) -> None:
    replayer = Replayer(workflows=WORKFLOWS, plugins=[ORDERLAB_PLUGIN], workflow_runner=runner)

    await replayer.replay_workflow(history)


@pytest.mark.parametrize("name", ["saga-completed", "choreography-completed"])
async def test_a_step_out_of_its_place_fails_the_replay(name: str) -> None:
    history = next(history for history in RECORDED if history.workflow_id == name)
    replayer = Replayer(workflows=[ReorderedSaga, ReorderedBus], plugins=[ORDERLAB_PLUGIN])

    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(history)
