"""Bad input: one clear line, exit 2, refused before a server is looked for, and nothing stored."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client import app
from events.edge import order_placed
from events.readable import MAX_EVENT_BYTES
from hosting.composition import check_settings
from orders.loader import load_orders, read_order
from runtime.leave import outcome
from runtime.settings import SHIPPED_ORDERS, Settings
from tests.processes import environment, orderlab

GOOD = json.loads(load_orders(SHIPPED_ORDERS).find("536366").model_dump_json())
EVENT = {"specversion": "1.0", "id": "e1", "source": "test", "type": "ticket.created", "data": {"priority": 1}}

FAILED = {
    **EVENT,
    "type": "shipment.failed",
    "subject": "1",
    "data": {"order_id": "1", "service": "shipping", "reason": "made up"},
}


def without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


def line(**changes: object) -> dict[str, Any]:
    return {**GOOD, "lines": [{**GOOD["lines"][0], **changes}]}


ORDERS: list[tuple[str, object, str]] = [
    ("a negative quantity", line(quantity=-1), "quantity"),
    ("a quantity of 0", line(quantity=0), "quantity"),
    ("half an article", line(quantity=1.5), "quantity"),
    ("nothing but a free line", line(unit_price="0"), "unit_price"),
    ("a price below 0", line(unit_price="-0.01"), "unit_price"),
    ("a price in half pence", line(unit_price="1.005"), "unit_price"),
    ("a price that is no number", line(unit_price="NaN"), "unit_price"),
    ("no description", line(description=" "), "description"),
    ("no lines", {**GOOD, "lines": []}, "lines"),
    ("no country", without(GOOD, "country"), "country"),
    ("an unknown field", {**GOOD, "colour": "red"}, "colour"),
    ("an id that is no id", {**GOOD, "order_id": "a/b"}, "order_id"),
    ("a list", [GOOD], "no order"),
    (
        "more than a payload takes",
        {**GOOD, "lines": [{**GOOD["lines"][0], "description": "x" * 200}] * 5_000 * 2},
        "lines",
    ),
]

LARGE = {**GOOD, "lines": GOOD["lines"][:1] * 5_000}
"""As many lines as an order can have, and more bytes than an event."""

EVENTS: list[tuple[str, object, str]] = [
    ("no type", without(EVENT, "type"), "'type'"),
    ("no id", without(EVENT, "id"), "'id'"),
    ("no source", without(EVENT, "source"), "'source'"),
    ("another version of CloudEvents", {**EVENT, "specversion": "0.3"}, "specversion"),
    ("an attribute that is no name", {**EVENT, "Not-A-Name": 1}, "Not-A-Name"),
    ("a time that is no time", {**EVENT, "time": "yesterday"}, "time"),
    ("data that breaks its schema", {**EVENT, "type": "order.placed", "data": {"order_id": "1"}}, "order.placed"),
    ("another subject", {**EVENT, "type": "order.placed", "subject": "1", "data": GOOD}, "subject"),
    ("more than a payload takes", {**EVENT, "data": "x" * MAX_EVENT_BYTES}, "payload limit"),
    (
        "an order that is larger than an event",
        {**EVENT, "type": "order.placed", "subject": GOOD["order_id"], "data": LARGE},
        "place it as several orders",
    ),
    ("a number", 3, "CloudEvent"),
    ("a subject too long for a workflow id", {**EVENT, "subject": "s" * 252}, "subject"),
    ("an id too long for a workflow id", {**EVENT, "id": "i" * 252}, "id"),
    ("a subject with a control in it", {**EVENT, "subject": "a\u0000b"}, "subject: character 2 is U+0000"),
    ("a time that is a number", {**EVENT, "time": 1764000000}, "time"),
    ("more levels than can be read back", {**EVENT, "data": json.loads("[" * 198 + "]" * 198)}, "nested too deeply"),
    ("a required attribute that is null", {**EVENT, "source": None}, "'source'"),
    ("an extension of no type", {**EVENT, "tenant": 1.5}, "'tenant'"),
    ("half a surrogate pair", {**EVENT, "data": "\ud800"}, "JSON"),
    ("what is no number in JSON", {**EVENT, "data": float("nan")}, "JSON"),
    ("what is no base64", {**EVENT, "data": None, "data_base64": "!!!!"}, "data_base64"),
    ("what only the lab itself may say", {**EVENT, "rehearsal": True}, "rehearsal"),
    ("data twice", {**EVENT, "data_base64": "AAAA"}, "data_base64"),
    ("what only a service can tell", FAILED, "shipment.failed is for shipping to tell; --by-hand YOUR-NAME tells it"),
    ("what passes for ours", {**EVENT, "source": "OrderLab/shipping"}, "'OrderLab/shipping' is orderlab's own"),
    ("what passes for a person's act", {**EVENT, "byhand": "ann"}, "'byhand' is for orderlab's own use"),
]

COMMANDS: list[tuple[list[str], str]] = [
    (["order", "missing.json"], "missing.json"),
    (["order", "999999"], "999999"),
    (["order", "C536379"], "C536379"),
    (["order", "536365", "--style", "both-of-them"], "saga, choreography, both"),
    (["order", "536365", "--json", "no/such/directory.json"], "no/such/directory.json"),
    (["order"], "FILE|INVOICE"),
    (["publish", "missing.json"], "missing.json"),
    (["orders", "--limit", "0"], "--limit"),
    (["demo", "--orders", "0"], "--orders"),
    (["demo", "--orders", "many"], "--orders"),
    (["demo", "--colour"], "--colour"),
    (["demo", "--cancel-share", "1.1"], "--cancel-share"),
    (["demo", "--cancel-share", "many"], "--cancel-share"),
    (["demo", "--cancel-share", "nan"], "--cancel-share"),
    (["cancel"], "ORDER"),
    (["cancel", "no order"], "no order"),
    (["cancel", "536365/1"], "536365/1"),
    (["cancel", "536365", "--style", "none"], "saga, choreography, both"),
    (["cancel", "536365", "--json", "no/such/directory.json"], "no/such/directory.json"),
    (["repair"], "ORDER"),
    (["repair", "no order"], "no order"),
    (["repair", "536365", "--style", "none"], "saga, choreography, both"),
    (["repair", "536365", "--json", "no/such/directory.json"], "no/such/directory.json"),
    (["replay", "."], "no histories"),
    (["nonsense"], "nonsense"),
    (["order", "536365", "--faults", "nasty"], "calm, customers, flaky, hostile, outage, poison"),
    (["demo", "--faults", "missing.json"], "missing.json"),
    (["demo", "--faults", "flaky", "--seed", "lucky"], "--seed"),
    (["demo", "--seed", "-1"], "--seed"),
    (["chaos", "--every", "nan"], "--every"),
    (["chaos", "--every", "inf"], "--every"),
    (["chaos", "--kill", "everything"], "worker, bus, server, all"),
    (["chaos", "--kill", "bus", "--down", "shipping"], "--down"),
    (["chaos", "--down", "shiping"], "shiping"),
    (["chaos", "--every", "0"], "--every"),
    (["chaos", "--orders", "0"], "--orders"),
    (["compare", "--orders", "0"], "--orders"),
    (["compare", "--rate", "5", "--concurrency", "5"], "--rate and --concurrency"),
    (["compare", "--rate", "0"], "--rate"),
    (["compare", "--scaling", "--untuned"], "--scaling"),
    (["compare", "--rate", "inf"], "--rate"),
    (["compare", "--rate", "nan"], "--rate"),
    (["compare", "--concurrency", "0"], "--concurrency"),
    (["compare", "--html", "no/such/directory.html"], "no/such/directory.html"),
    (["compare", "--markdown", "."], "can't write ."),
    (["compare", "--junit", "no/such/directory.xml"], "no/such/directory.xml"),
    (["compare", "--faults", "nasty"], "nasty"),
    (["compare", "--profile", "nasty"], "legacy-erp, web-shop"),
    (["compare", "--cancel-share", "2"], "--cancel-share"),
    (["compare", "--check", "missing.json"], "missing.json"),
    (["compare", "--check", "README.md"], "README.md"),
    (["events", "a\udcff"], "ORDER: character 2 is U+DCFF"),
    (["events", "x" * 252], "ORDER has 252 characters"),
    (["effects", "a\x1bb"], "ORDER: character 2 is U+001B"),
    (["replay", "x" * 5_000], "ORDER has 5000 characters"),
    (["order", "x" * 5_000], "no order"),
    (["order", "a\0b"], "no order"),
    (["order", "x" * 5_000 + ".json"], "can't read"),
    (["publish", "x" * 5_000], "can't read"),
    (["effects", "--data", "x" * 5_000], "choose another --data"),
    (["effects", "--json", "x" * 5_000], "can't write"),
    (["order", "536365", "--faults", "x" * 5_000], "calm, customers"),
    (["redrive"], "--all"),
    (["redrive", "saga/1>marketing", "--all"], "--all"),
]


Refuses = Callable[..., None]


@pytest.fixture
def refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refuses:
    """Runs a command; it must be refused at once, in one line that names the fault, and leave nothing behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")  # whoever looks for a server first ends with 3, not 2

    def run(*arguments: str, names: str) -> None:
        before = sorted(tmp_path.iterdir())
        code = outcome(app, "orderlab", list(arguments))
        out, err = capfd.readouterr()

        assert code == 2, err
        assert len(err.strip().splitlines()) == 1, err
        assert names in err
        assert out == ""
        assert sorted(tmp_path.iterdir()) == before

    return run


@pytest.mark.parametrize(("document", "names"), [case[1:] for case in ORDERS], ids=[case[0] for case in ORDERS])
def test_an_order_that_can_t_be_sold_is_refused(refuses: Refuses, tmp_path: Path, document: object, names: str) -> None:
    file = tmp_path / "my.json"
    file.write_text(json.dumps(document))

    refuses("order", str(file), names=names)


@pytest.mark.parametrize(("document", "names"), [case[1:] for case in EVENTS], ids=[case[0] for case in EVENTS])
def test_an_event_that_is_none_is_refused(refuses: Refuses, tmp_path: Path, document: object, names: str) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(document))

    refuses("publish", str(file), names=names)


@pytest.mark.parametrize(
    ("document", "by_hand", "names"),
    [
        (EVENT, "ann", "publish it without --by-hand"),
        (FAILED, " ", "--by-hand: nothing of it can be seen"),
        (FAILED, "a\u202eb", "--by-hand: character 2 is U+202E"),
        ({**FAILED, "source": "orderlab/shipping"}, "ann", "is orderlab's own"),
        ({**FAILED, "byhand": "bob"}, "ann", "'byhand' is for orderlab's own use"),
        ({**FAILED, "subject": "2"}, "ann", "the subject of shipment.failed must be the order id '1'"),
    ],
    ids=["of nobody", "of blanks", "hidden", "under a source of ours", "with a mark", "of another order"],
)
def test_an_act_that_is_none_is_refused(
    refuses: Refuses, tmp_path: Path, document: object, by_hand: str, names: str
) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(document))

    refuses("publish", str(file), "--by-hand", by_hand, names=names)


@pytest.mark.parametrize("command", ["order", "publish"])
def test_what_is_not_json_is_refused(refuses: Refuses, tmp_path: Path, command: str) -> None:
    file = tmp_path / "my.json"
    file.write_text('{"order_id": ')

    refuses(command, str(file), names="JSON")


@pytest.mark.parametrize(
    "arguments",
    [
        ["order", "utf16.json"],
        ["publish", "utf16.json"],
        ["order", "536365", "--faults", "utf16.json"],
        ["compare", "--profile", "utf16.json"],
        ["compare", "--check", "utf16.json"],
        ["replay", "histories"],
    ],
    ids=" ".join,
)
def test_a_file_in_another_encoding_is_refused_by_the_name_of_the_encoding(
    refuses: Refuses, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "histories").mkdir()
    for file in (tmp_path / "utf16.json", tmp_path / "histories" / "utf16.json"):
        file.write_text("{}", encoding="utf-16")

    refuses(*arguments, names="UTF-16; save it as UTF-8")


def test_an_order_that_is_larger_than_an_event_is_refused_in_either_style_and_says_what_to_do(
    refuses: Refuses, tmp_path: Path
) -> None:
    (tmp_path / "my.json").write_text(json.dumps(LARGE))

    for style in ("saga", "choreography", "both"):
        refuses("order", "my.json", "--style", style, names="place it as several orders, each under an id of its own")


def test_an_order_without_room_for_its_dice_is_refused(refuses: Refuses, tmp_path: Path) -> None:
    size = len(json.dumps(GOOD["lines"][0], separators=(",", ":"))) + 1
    lines = (MAX_EVENT_BYTES - 600) // size
    (tmp_path / "my.json").write_text(json.dumps({**GOOD, "lines": GOOD["lines"][:1] * lines}))
    order_placed(read_order(tmp_path / "my.json"))

    refuses("order", "my.json", "--faults", "hostile", names="an event can have")


@pytest.mark.parametrize(("arguments", "names"), COMMANDS, ids=[" ".join(case[0]) for case in COMMANDS])
def test_a_wrong_command_is_refused(refuses: Refuses, arguments: list[str], names: str) -> None:
    refuses(*arguments, names=names)


def test_a_process_that_is_refused_leaves_with_2_and_one_line(tmp_path: Path) -> None:
    ran = orderlab("order", "999999", cwd=tmp_path, env=environment(TEMPORAL_ADDRESS="127.0.0.1:1"))

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)


def test_an_unknown_service_is_refused_by_the_worker(tmp_path: Path) -> None:
    worker = [sys.executable, "-m", "worker", "--service", "shiping"]
    ran = subprocess.run(worker, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 2
    assert ran.stderr.strip().splitlines() == [
        "worker: unknown service 'shiping'; take one of: shipping, invoicing, marketing, analytics, saga, bus"
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ORDERLAB_SMTP_URL", "mail.example"),
        ("ORDERLAB_SMTP_URL", "smtp://mail:port"),
        ("ORDERLAB_SHIPPING_DB_URL", "shipping"),
        ("ORDERLAB_ANALYTICS_DB_URL", "oracle://host/db"),
        ("ORDERLAB_SHIPPING_DB_URL", "postgresql+psycopg2://user@host/db"),
        ("ORDERLAB_SHIPPING_DB_URL", "postgresql+psycopg://user@host:port/db"),
        ("ORDERLAB_INVOICING_DB_URL", "sqlite+aiosqlite:///invoices.db"),
        ("ORDERLAB_INVOICING_DB_URL", "sqlite+none:///invoices.db"),
        ("ORDERLAB_MARKETING_DB_URL", "sqlite://"),
        ("ORDERLAB_MARKETING_DB_URL", "sqlite:///:memory:"),
        ("ORDERLAB_MARKETING_DB_URL", "sqlite:///file::memory:?cache=shared&uri=true"),
        ("ORDERLAB_SERVER_WAIT_S", "soon"),
        ("ORDERLAB_SERVER_WAIT_S", "inf"),
        ("ORDERLAB_SERVER_WAIT_S", "86400.1"),
    ],
)
def test_a_setting_that_can_t_be_used_is_refused(
    refuses: Refuses, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    refuses("order", "536365", names=value if "WAIT" not in variable else variable)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ORDERLAB_MAIL_FROM", ""),
        ("ORDERLAB_MAIL_FROM", "shop"),
        ("ORDERLAB_MAIL_FROM", "shop@"),
        ("ORDERLAB_MAIL_FROM", "shop@x\nBcc: all@x"),
        ("ORDERLAB_MAIL_FROM", "Shop\r\n <shop@x>"),
        ("ORDERLAB_MAIL_FROM", f"{'x' * 319}@x"),
        ("ORDERLAB_CUSTOMER_MAIL_DOMAIN", "x" * 136),
        ("ORDERLAB_LAB", "x" * 201),
        ("ORDERLAB_LAB", "a\nb"),
    ],
)
def test_a_setting_that_no_mail_or_no_task_queue_can_have_is_refused_by_name(
    refuses: Refuses, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    refuses("order", "536365", names=variable)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ORDERLAB_MAIL_FROM", "Our shop <shop@shop.example>"),
        ("ORDERLAB_MAIL_FROM", f"{'x' * 318}@x"),
        ("ORDERLAB_CUSTOMER_MAIL_DOMAIN", "x" * 135),
        ("ORDERLAB_LAB", "x" * 200),
        ("ORDERLAB_LAB", ""),
        ("ORDERLAB_SERVER_WAIT_S", "86400"),
        ("ORDERLAB_SHIPPING_DB_URL", "postgresql+psycopg://user@host:5432/db"),
        ("ORDERLAB_SHIPPING_DB_URL", "postgresql://user@host/db"),
        ("ORDERLAB_SHIPPING_DB_URL", "sqlite:///ships.db"),
    ],
)
def test_a_setting_at_its_limit_is_taken(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)

    assert check_settings(Settings.at("somewhere")).data == Path("somewhere")


def test_a_data_directory_that_is_a_file_is_refused(refuses: Refuses, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()

    refuses("order", "536365", "--data", "taken", names="taken")


WRITING = [["up"], ["order", "536365"], ["cancel", "536365"], ["demo"], ["compare"], ["chaos"], ["faults", "--matrix"]]
LOOKING = [["orders"], ["parked"], ["events", "1"], ["effects"], ["replay", "1"], ["audit"], ["redrive", "--all"]]
NO_DIRECTORIES = {
    "a blank": (" ", "--data: it is empty"),
    "nothing": ("", "--data: it is empty"),
    "in a file": ("taken/in", "can't be made: {here}/taken is a file; choose another --data"),
    "far in a file": ("taken/in/it", "can't be made: {here}/taken is a file; choose another --data"),
    "in a device": ("/dev/null/x", "can't be made: /dev/null is a file"),
    "a device": ("/dev/null", "is a file"),
    "in no directory's file": ("/etc/passwd/x", "can't be made: /etc/passwd is a file"),
    "a link to nothing": ("dangling", "is a link to nothing"),
    "in a link to nothing": ("dangling/x", "dangling is a link to nothing"),
    "in a circle": ("circle/x", "circle is a link to nothing"),
    "a name too long": ("x" * 5_000, "choose another --data"),
    "a path too long": ("/".join(["x" * 100] * 5), "SQLite opens no database with a longer one"),
    "a zero byte": ("a\0b", "choose another --data"),
}


@pytest.mark.parametrize("case", NO_DIRECTORIES)
@pytest.mark.parametrize("command", [["order", "536365"], ["orders"], ["effects"], ["audit"]], ids=" ".join)
def test_what_can_be_no_data_directory_is_refused(
    refuses: Refuses, tmp_path: Path, command: list[str], case: str
) -> None:
    (tmp_path / "taken").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    directory, told = NO_DIRECTORIES[case]

    refuses(*command, "--data", directory, names=told.format(here=tmp_path))


def test_an_empty_directory_in_the_environment_is_refused_by_its_variable(
    refuses: Refuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERLAB_DATA", "")

    refuses("order", "536365", names="ORDERLAB_DATA: it is empty")


@pytest.mark.parametrize("directory", ["/proc/nope", "/proc/nope/deeper", "/proc", "/sys/x"])
@pytest.mark.parametrize("command", WRITING, ids=" ".join)
def test_a_directory_in_which_nothing_can_be_made_is_refused(
    refuses: Refuses, command: list[str], directory: str
) -> None:
    refuses(*command, "--data", directory, names=f"the data directory {directory} can't be ")


def test_a_name_of_a_directory_that_the_file_system_does_not_take_is_refused(refuses: Refuses) -> None:
    refuses("order", "536365", "--data", f"there/{'x' * 256}", names="File name too long; choose another --data")


def test_a_worker_refuses_a_data_directory_in_the_same_way(tmp_path: Path) -> None:
    for directory in ("/proc/nope", ""):
        worker = [sys.executable, "-m", "worker", "--service", "shipping", "--data", directory]
        ran = subprocess.run(worker, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)

        assert (ran.returncode, len(ran.stderr.strip().splitlines())) == (2, 1), ran.stderr
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_where_there_is_no_lab_a_command_that_looks_at_one_says_so_and_makes_none(
    refuses: Refuses, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.delenv("TEMPORAL_ADDRESS")  # on a server that the user names, there may be a lab all the same

    refuses(*command, names="there is no lab in .orderlab; `orderlab up` or `orderlab demo` makes one")
    refuses(*command, "--data", "far/away", names="there is no lab in far/away; ")
