"""What is printed: on any terminal, and whatever text others have put into it."""

import io
import json
import logging
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import RenderableType

from events.log import DeliveryRecord, DeliveryState, EventLog, LogEntry, OrderState
from events.parked import ParkedDelivery
from lab import console, show
from lab.audit import AuditReport, Violation
from lab.commands import Published
from lab.console import RESULTS, announce, write_json
from lab.dead_letters import DeadLetter
from lab.status import OrderStatus
from runtime.leave import speak_to_any_terminal
from runtime.logs import configure_logs
from stores.ledger import EffectRecord
from tests.processes import environment, orderlab

HOSTILE = "a\x1b[31mb\x9b2Jc\u202ed\x07e [bold]f[/bold] :warning: \u2028 é 世界\nend"
AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def _log() -> EventLog:
    delivery = DeliveryRecord(subscriber=HOSTILE, handler=HOSTILE, state=DeliveryState.PARKED, reason=HOSTILE)
    entry = LogEntry(
        id=HOSTILE, type=HOSTILE, source=HOSTILE, time=AT, causationid=HOSTILE, digest="", deliveries=[delivery]
    )
    return EventLog(entries=[entry])


def _letter() -> DeadLetter:
    parked = ParkedDelivery(id=HOSTILE, service=HOSTILE, work=HOSTILE, reason=HOSTILE, attempts=1, payload=HOSTILE)
    return DeadLetter(id=HOSTILE, workflow_id=HOSTILE, run_id="", order_id=HOSTILE, delivery=parked)


def _status() -> OrderStatus:
    return OrderStatus(
        order_id=HOSTILE,
        style="saga",
        state=OrderState.PARKED,
        started=AT,
        workflow_id=HOSTILE,
        run_id="",
        detail=HOSTILE,
    )


SHOWN: dict[str, Callable[[], RenderableType]] = {
    "events": lambda: show.event_log(HOSTILE, _log()),
    "parked": lambda: show.dead_letters([_letter()]),
    "orders": lambda: show.orders([_status()]),
    "effects": lambda: show.effects(
        [
            EffectRecord(
                order_id=HOSTILE,
                style="saga",
                service=HOSTILE,
                effect=HOSTILE,
                idempotency_key=HOSTILE,
                at=AT,
                fact={HOSTILE: HOSTILE},
            )
        ]
    ),
    "audit": lambda: show.audit(
        AuditReport(checked=1, violations=[Violation(order_id=HOSTILE, style="saga", guarantee=1, what=HOSTILE)])
    ),
    "a line": lambda: HOSTILE,
}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[[RenderableType], str]:
    """Prints on a terminal of 200 columns, in an encoding."""

    def run(what: RenderableType, encoding: str = "utf-8") -> str:
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdout", stream)
            patched.setenv("COLUMNS", "200")
            speak_to_any_terminal()
            RESULTS.print(what)
            stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        return stream.buffer.getvalue().decode(encoding)

    return run


@pytest.mark.parametrize("what", SHOWN)
def test_a_terminal_obeys_no_text_that_it_is_shown(printed: Callable[..., str], what: str) -> None:
    told = printed(SHOWN[what]())

    assert not [c for c in told if unicodedata.category(c) in {"Cc", "Cf", "Zl"} and c != "\n"]
    assert "[bold]" in told
    assert ":warning:" in told
    assert "\\x1b[31m" in told.replace("\n", "")


@pytest.mark.parametrize("what", SHOWN)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_without_our_characters_is_shown_escapes(
    printed: Callable[..., str], what: str, encoding: str
) -> None:
    assert "\\u4e16" in printed(SHOWN[what](), encoding)


def test_json_on_a_terminal_without_our_characters_is_the_same_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = Published(id=HOSTILE, type="é", workflow_id="bus/世界", known=False, recipients=())
    told = []
    for encoding in ("utf-8", "ascii", "latin-1"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdout", stream)
            write_json(Path("-"), result)
            stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        told.append(stream.buffer.getvalue().decode(encoding))

    assert "世界" in told[0]
    assert not [c for c in told[0] if unicodedata.category(c) in {"Cc", "Cf", "Zl"} and c != "\n"]
    assert all(Published.model_validate(json.loads(text)) == result for text in told)


def test_what_is_announced_is_obeyed_as_little(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console.PROGRESS, "width", 200)

    announce(HOSTILE)

    assert "a\\x1b[31mb\\x9b2Jc\\u202ed\\x07e [bold]f[/bold] :warning:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "arguments", "code"),
    [
        ({"PYTHONIOENCODING": "ascii"}, ["effects"], 0),
        ({"PYTHONIOENCODING": "ascii"}, ["--help"], 0),
        ({"PYTHONIOENCODING": "ascii"}, ["events", "Grüße\u202e"], 2),
        ({"LC_ALL": "C"}, ["faults", "--json", "-"], 0),
    ],
    ids=str,
)
def test_no_command_ends_in_a_traceback_for_want_of_characters(
    tmp_path: Path, settings: dict[str, str], arguments: list[str], code: int
) -> None:
    (tmp_path / ".orderlab").mkdir()

    ran = orderlab(*arguments, cwd=tmp_path, env=environment(**settings))

    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err + ran.out
    assert ran.out.isascii()


def test_a_file_whose_name_is_in_no_encoding_is_told_of_in_one_line(tmp_path: Path) -> None:
    ran = orderlab("order", "caf\udce9\x1b[2J.json", cwd=tmp_path)

    assert (ran.code, ran.out) == (2, "")
    assert "caf\\udce9\\x1b[2J.json" in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_log_shows_what_others_say_as_escapes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, is_terminal: bool
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure_logs()
        logging.getLogger("test").warning("told: %s", "a\x1b]0;b\x07c\u202e", extra={"key": "\x1b[2J\u202e"})
    finally:
        root.handlers[:], root.level = before, level
    told = capsys.readouterr().err

    assert not any(hostile in told for hostile in ("\x1b]0", "\x1b[2J", "\x07", "\u202e"))
    assert "told: a" in told


def test_the_list_of_fault_plans_says_of_each_what_it_brings_in_columns_that_line_up(tmp_path: Path) -> None:
    ran = orderlab("faults", cwd=tmp_path)

    told: dict[str, str] = dict(line.split(maxsplit=1) for line in ran.out.splitlines())
    assert told["calm"] == "nothing"
    assert told["customers"] == "customers cancel"
    assert len({line.index(told[line.split()[0]]) for line in ran.out.splitlines()}) == 1
