"""Which pollers that the server lists are live workers: by processes, and by clocks that need not agree."""

import os
import socket
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.taskqueue.v1 import PollerInfo

from server.pollers import lives

NOW = datetime(2026, 11, 27, 4, 0, tzinfo=UTC)
NOBODY = 2**22 + 1
"""No process: Linux numbers them up to 2**22."""


def stamp(moment: datetime) -> Timestamp:
    written = Timestamp()
    written.FromDatetime(moment)
    return written


def poller(identity: str, *, polled: timedelta) -> PollerInfo:
    return PollerInfo(identity=identity, last_access_time=stamp(NOW - polled))


HERE = f"{os.getpid()}@{socket.gethostname()}"


@pytest.mark.parametrize("polled", [timedelta(hours=-1), timedelta(0), timedelta(hours=1)])
@pytest.mark.parametrize("name", [HERE, f"shipping:{HERE}"])
def test_a_worker_of_this_machine_lives_though_the_clock_was_set_by_an_hour(name: str, polled: timedelta) -> None:
    assert lives(poller(name, polled=polled), stamp(NOW))


@pytest.mark.parametrize("polled", [timedelta(hours=-1), timedelta(0), timedelta(hours=1)])
def test_a_worker_of_this_machine_whose_process_is_gone_does_not(polled: timedelta) -> None:
    assert not lives(poller(f"{NOBODY}@{socket.gethostname()}", polled=polled), stamp(NOW))


@pytest.mark.parametrize(("polled", "is_alive"), [(timedelta(seconds=70), True), (timedelta(seconds=71), False)])
def test_a_worker_of_another_machine_lives_as_long_as_it_polls(polled: timedelta, is_alive: bool) -> None:
    assert lives(poller("7@elsewhere", polled=polled), stamp(NOW)) is is_alive
