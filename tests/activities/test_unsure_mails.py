"""A mail that may be out or not: undone as if it were, repeated rarely, and nobody waits for a slow mail server."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import MetaData
from temporalio.exceptions import ApplicationError

from activities.mailer import Mailer, MailNotTakenError, MailRefusedError
from activities.mails import cancellation_mail
from activities.marketing import MarketingActivities
from activities.reacting import Reporter
from activities.smtp import Patience, never
from orders.loader import campaign_audience
from orders.model import Order
from runtime.errors import NotDoneError, OutcomeUnknownError, SupersededError
from server.mail import MailServer
from server.ports import LOOPBACK, free_port
from services.marketing import MARKETING
from services.order_placed import registry
from stores import marketing
from stores.ledger import Ledger
from tests.activities.conftest import Seen, cancelled, placed
from tests.mail_servers import SlowServer, read_line, rude, up_to_data, whole_mail

HURRIED = Patience(connect_s=2, answer_s=0.5, data_s=0.5, block_s=2, kept_s=0.3)
"""For servers that do not answer, which the standard would have us await for minutes."""


@pytest.fixture
def slow() -> Iterator[SlowServer]:
    with SlowServer().running() as server:
        yield server


@pytest.fixture
def shop(ledger: Callable[[MetaData], Ledger], order: Order) -> Callable[[str], MarketingActivities]:
    """Marketing, to be given a mail server."""
    books = ledger(marketing.METADATA)
    marketing.enrol(books.engine, campaign_audience([order]))
    return lambda url: MarketingActivities(books, Reporter("marketing", registry("")), hurried_mailer(url))


def hurried_mailer(url: str) -> Mailer:
    return Mailer(url, sender="shop@orderlab.example", customer_domain="customers.example", patience=HURRIED)


def later(call: Callable[[], object]) -> float:
    """How many seconds later the call wants to be tried again, as nobody knows whether the mail is out."""
    with pytest.raises(ApplicationError, match="nobody knows") as raised:
        call()
    assert raised.value.type == "OutcomeUnknownError"
    assert not raised.value.non_retryable, "it is given up"
    assert raised.value.next_retry_delay is not None
    return raised.value.next_retry_delay.total_seconds()


def let_pass(seen: Seen) -> None:
    """As if the mails had been sent long ago."""
    seen.run("UPDATE outside_tries SET at_us = at_us - 1000000000000")


def test_a_mail_that_the_server_does_not_answer_for_goes_out_once_and_again_only_much_later(
    shop: Callable[[str], MarketingActivities], slow: SlowServer, seen: Seen, order: Order
) -> None:
    slow.answers.clear()
    market = shop(slow.url)

    waits = [later(lambda: market.thank_customer(placed(order))) for _ in range(3)]
    once = len(slow.mails)
    let_pass(seen)
    waits.append(later(lambda: market.thank_customer(placed(order))))
    slow.answers.set()
    let_pass(seen)
    market.thank_customer(placed(order))

    assert (once, len(slow.mails)) == (1, 3)
    assert len({mail["Message-ID"] for mail in slow.mails}) == 1
    assert waits[0] == pytest.approx(MARKETING.attempts.attempt_s, rel=0.1)
    assert waits[3] == pytest.approx(2 * MARKETING.attempts.attempt_s, rel=0.1)
    assert waits[1] < 10  # whoever is at it may be done soon
    assert seen.names() == ["campaign.left", "confirmation.sent"]


def test_a_mail_that_nobody_says_is_out_is_sent_three_times_in_two_hours_and_then_left_to_a_person(
    shop: Callable[[str], MarketingActivities], slow: SlowServer, seen: Seen, order: Order
) -> None:
    slow.closes = True
    market = shop(slow.url)
    for _ in range(2):
        later(lambda: market.thank_customer(placed(order)))
        let_pass(seen)
    with pytest.raises(ApplicationError, match="nobody knows") as given_up:
        market.thank_customer(placed(order))
    slow.closes = False
    let_pass(seen)
    market.thank_customer(placed(order))  # its redrive

    assert given_up.value.non_retryable
    assert len(slow.mails) == 4
    assert seen.names() == ["campaign.left", "confirmation.sent"]


def no_answer(connection: socket.socket) -> None:
    up_to_data(connection)
    whole_mail(connection)
    read_line(connection)


def gone_in_the_middle(connection: socket.socket) -> None:
    up_to_data(connection)
    connection.recv(10)


def gone_before_the_answer(connection: socket.socket) -> None:
    up_to_data(connection)
    whole_mail(connection)


def dribbling(connection: socket.socket) -> None:
    up_to_data(connection)
    whole_mail(connection)
    with contextlib.suppress(OSError):
        for _ in range(200):
            connection.sendall(b"2")
            threading.Event().wait(0.05)


def nonsense(connection: socket.socket) -> None:
    up_to_data(connection)
    whole_mail(connection)
    connection.sendall(b"well, well\r\n")


def endless_line(connection: socket.socket) -> None:
    up_to_data(connection)
    whole_mail(connection)
    connection.sendall(b"250 " + b"x" * 20_000)


def leave_in_doubt(
    shop: Callable[[str], MarketingActivities], order: Order, talk: Callable[[socket.socket], None] = no_answer
) -> None:
    """Send a confirmation to a server that takes the whole mail and says nothing clear of it."""
    with rude(talk) as url:
        later(lambda: shop(url).thank_customer(placed(order)))


@pytest.mark.parametrize(
    "talk", [no_answer, gone_in_the_middle, gone_before_the_answer, dribbling, nonsense, endless_line]
)
def test_a_mail_that_may_be_out_is_followed_by_a_cancellation_and_never_sent_again(
    shop: Callable[[str], MarketingActivities],
    slow: SlowServer,
    seen: Seen,
    order: Order,
    talk: Callable[[socket.socket], None],
) -> None:
    leave_in_doubt(shop, order, talk)
    market = shop(slow.url)

    told = market.tell_customer(cancelled(order))
    let_pass(seen)
    with pytest.raises(SupersededError):
        market.thank_customer(placed(order))
    again = market.tell_customer(cancelled(order))

    assert told == again
    assert told.cancellation is not None
    assert slow.subjects == [f"Your order {order.order_id} was cancelled"]
    assert slow.mails[0]["To"] == f"{order.customer_id}@customers.example"
    assert [(one.effect, one.certain) for one in seen.effects()] == [
        ("confirmation.sent", False),
        ("cancellation.sent", True),
    ]


def no_greeting(connection: socket.socket) -> None:
    read_line(connection)


def greeted_and_gone(connection: socket.socket) -> None:
    connection.sendall(b"220 rude\r\n")
    read_line(connection)


def no_answer_to_data(connection: socket.socket) -> None:
    connection.sendall(b"220 rude\r\n")
    while not read_line(connection).upper().startswith((b"DATA", b"\n")):
        connection.sendall(b"250 OK\r\n")
    read_line(connection)


def busy(connection: socket.socket) -> None:
    connection.sendall(b"421 too busy\r\n")


@pytest.mark.parametrize("talk", [no_greeting, greeted_and_gone, no_answer_to_data, busy])
def test_a_mail_that_is_certainly_not_out_may_be_sent_at_once_and_needs_no_cancellation(
    shop: Callable[[str], MarketingActivities],
    slow: SlowServer,
    seen: Seen,
    order: Order,
    talk: Callable[[socket.socket], None],
) -> None:
    other = order.model_copy(update={"order_id": f"{order.order_id}-2"})
    for one in (order, other):
        with rude(talk) as url, pytest.raises(MailNotTakenError):
            shop(url).thank_customer(placed(one))
    noted = seen.rows("mails")

    shop(slow.url).thank_customer(placed(order))
    told = shop(slow.url).tell_customer(cancelled(other))

    assert noted == []
    assert told.cancellation is None
    assert slow.subjects == [f"Your order {order.order_id}"]


@pytest.mark.parametrize(
    "refusal",
    [
        ("rcpt", "450 mailbox busy", MailNotTakenError),
        ("rcpt", "550 no such customer", MailRefusedError),
        ("data", "451 try later", MailNotTakenError),
        ("data", "421 going down", MailNotTakenError),
        ("data", "554 no", MailRefusedError),
    ],
    ids=lambda refusal: refusal[1],
)
def test_a_refusal_is_a_known_outcome_the_mail_is_not_out(
    shop: Callable[[str], MarketingActivities],
    slow: SlowServer,
    seen: Seen,
    order: Order,
    refusal: tuple[str, str, type[NotDoneError]],
) -> None:
    stage, answer, raised = refusal
    setattr(slow, stage, answer)
    market = shop(slow.url)
    with pytest.raises(raised, match=answer[4:]):
        market.thank_customer(placed(order))
    told = market.tell_customer(cancelled(order))

    assert told.cancellation is None
    assert (seen.names(), seen.rows("mails"), slow.mails) == ([], [], [])


def test_a_cancellation_that_may_be_out_is_repeated_as_rarely(
    shop: Callable[[str], MarketingActivities], slow: SlowServer, seen: Seen, order: Order
) -> None:
    market = shop(slow.url)
    market.thank_customer(placed(order))
    slow.closes = True

    for _ in range(3):
        later(lambda: market.tell_customer(cancelled(order)))
    assert len(slow.mails) == 2
    with pytest.raises(SupersededError):
        market.thank_customer(placed(order))
    slow.closes = False
    let_pass(seen)
    market.tell_customer(cancelled(order))

    assert len({mail["Message-ID"] for mail in slow.mails}) == 2
    assert "cancellation.sent" in seen.names()


class Forgetting(Mailer):
    """A mailer after whose mails nothing can be recorded any more."""

    def __init__(self, url: str, seen: Seen) -> None:
        super().__init__(url, sender="shop@orderlab.example", customer_domain="customers.example", patience=HURRIED)
        self._seen = seen

    def send(self, mail: EmailMessage, is_called_off: Callable[[], bool] = never) -> None:
        super().send(mail, is_called_off)
        self._seen.run("ALTER TABLE outside_tries RENAME TO lost")


@pytest.mark.parametrize("then", ["send again", "cancel"])
def test_a_mail_that_was_taken_but_could_not_be_recorded_may_be_out(
    shop: Callable[[str], MarketingActivities], slow: SlowServer, seen: Seen, order: Order, then: str
) -> None:
    market = shop(slow.url)
    market._mailer = Forgetting(slow.url, seen)  # noqa: SLF001 - instead of the fixture's
    with pytest.raises(Exception, match="outside_tries"):
        market.thank_customer(placed(order))
    seen.run("ALTER TABLE lost RENAME TO outside_tries")
    market = shop(slow.url)

    later(lambda: market.thank_customer(placed(order)))
    if then == "cancel":
        market.tell_customer(cancelled(order))
    else:
        let_pass(seen)
        market.thank_customer(placed(order))

    cancelled_too = f"Your order {order.order_id} was cancelled"
    assert slow.subjects == [
        f"Your order {order.order_id}",
        cancelled_too if then == "cancel" else f"Your order {order.order_id}",
    ]


def test_our_own_mail_server_drops_repeats_so_what_may_be_out_is_sent_again_at_once(
    shop: Callable[[str], MarketingActivities], mail_server: MailServer, seen: Seen, tmp_path: Path, order: Order
) -> None:
    market = shop(mail_server.url)
    market._mailer = Forgetting(mail_server.url, seen)  # noqa: SLF001
    with pytest.raises(Exception, match="outside_tries"):
        market.thank_customer(placed(order))
    seen.run("ALTER TABLE lost RENAME TO outside_tries")

    shop(mail_server.url).thank_customer(placed(order))

    assert seen.names() == ["campaign.left", "confirmation.sent"]
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 1


@pytest.fixture
def away() -> str:
    """Where no mail server is."""
    return f"smtp://{LOOPBACK}:{free_port()}"


def test_a_worker_restarted_while_its_mail_server_is_away_still_says_that_a_mail_may_be_out_and_waits(
    shop: Callable[[str], MarketingActivities], slow: SlowServer, away: str, order: Order
) -> None:
    leave_in_doubt(shop, order)

    looks_away_s = later(lambda: shop(away).thank_customer(placed(order)))
    looks_back_s = later(lambda: shop(slow.url).thank_customer(placed(order)))

    assert looks_away_s < 10  # it may be back soon, and be one that drops repeats
    assert looks_back_s < 10
    assert slow.mails == []


def test_what_may_be_out_counts_as_out_when_it_is_undone_while_the_mail_server_is_away(
    shop: Callable[[str], MarketingActivities], slow: SlowServer, seen: Seen, away: str, order: Order
) -> None:
    leave_in_doubt(shop, order)

    with pytest.raises(MailNotTakenError):  # it is about the cancellation only
        shop(away).tell_customer(cancelled(order))
    with pytest.raises(SupersededError):
        shop(away).thank_customer(placed(order))
    undone = seen.names()
    shop(slow.url).tell_customer(cancelled(order))

    assert "campaign.rejoined" not in undone  # the order never came so far
    assert slow.subjects == [f"Your order {order.order_id} was cancelled"]


def test_our_own_mail_server_being_away_gives_up_no_mail_however_often_it_was_tried(
    shop: Callable[[str], MarketingActivities], mail_server: MailServer, seen: Seen, away: str, order: Order
) -> None:
    leave_in_doubt(shop, order)
    seen.run("UPDATE outside_tries SET number = 3")

    later(lambda: shop(away).thank_customer(placed(order)))
    shop(mail_server.url).thank_customer(placed(order))

    assert seen.names() == ["campaign.left", "confirmation.sent"]


def test_while_a_mail_server_keeps_a_mail_waiting_marketing_does_all_else(
    shop: Callable[[str], MarketingActivities], slow: SlowServer, seen: Seen, order: Order
) -> None:
    slow.answers.clear()
    market = shop(slow.url)
    market._mailer = Mailer(slow.url, sender="shop@orderlab.example", customer_domain="customers.example")  # noqa: SLF001
    other = order.model_copy(update={"order_id": f"{order.order_id}-2"})

    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(market.thank_customer, placed(order))
        while not slow.mails:
            threading.Event().wait(0.01)
        market.tell_customer(cancelled(other))  # it closes keys, and so writes
        still_waiting = not waiting.done()
        slow.answers.set()
        waiting.result()

    assert still_waiting
    assert seen.names() == ["campaign.left", "confirmation.sent"]


def some_mail(number: int) -> EmailMessage:
    return cancellation_mail(
        str(number), sender="shop@x.example", address="1@x.example", message_id=f"<{number}@x.example>"
    )


def test_a_server_that_answers_nobody_holds_up_six_mails_and_turns_the_seventh_away_unsent(slow: SlowServer) -> None:
    slow.answers.clear()
    mailer = Mailer(slow.url, sender="shop@orderlab.example", customer_domain="customers.example")

    with ThreadPoolExecutor(6) as threads:
        held = [threads.submit(mailer.send, some_mail(number)) for number in range(6)]
        while len(slow.mails) < 6:
            threading.Event().wait(0.01)
        with pytest.raises(MailNotTakenError, match="6 mails are under way"):
            mailer.send(some_mail(7))
        slow.answers.set()
        for one in held:
            one.result()
    mailer.send(some_mail(8))

    assert len(slow.mails) == 7


def mailer_that_waits(url: str, **patience: float) -> Mailer:
    """As long as the standard asks for, but for what is given."""
    waits = Patience(**{"called_off_s": 0.2, **patience})
    return Mailer(url, sender="shop@orderlab.example", customer_domain="customers.example", patience=waits)


def test_a_mail_that_is_called_off_is_not_waited_for_any_longer(slow: SlowServer) -> None:
    slow.answers.clear()
    mailer = mailer_that_waits(slow.url)

    with pytest.raises(MailNotTakenError, match="called off"):
        mailer.send(some_mail(1), lambda: True)
    with pytest.raises(OutcomeUnknownError, match="called off"):
        mailer.send(some_mail(2), lambda: bool(slow.mails))

    assert len(slow.mails) == 1


def test_a_mail_that_is_called_off_when_it_was_handed_over_is_out_if_the_server_says_so_soon(slow: SlowServer) -> None:
    slow.answers.clear()
    asked = 0

    def called_off() -> bool:
        nonlocal asked
        asked += bool(slow.mails)
        if asked:
            threading.Timer(0.2, slow.answers.set).start()
        return bool(asked)

    mailer_that_waits(slow.url, called_off_s=30).send(some_mail(1), called_off)

    assert asked == 1


def large_mail() -> EmailMessage:
    """More than what fits between a client and a server that does not read."""
    mail = some_mail(1)
    mail.set_content(f"{'x' * 70}\n" * 200_000)
    return mail


@pytest.mark.parametrize("why", ["called off", "not taken in"])
def test_a_mail_that_the_server_stops_taking_in_is_not_waited_for_and_certainly_not_out(
    slow: SlowServer, why: str
) -> None:
    stopped = threading.Event()

    def stops_reading(connection: socket.socket) -> None:
        up_to_data(connection)
        connection.recv(100_000)
        stopped.set()
        given_up.wait(30)

    given_up = threading.Event()
    with rude(stops_reading) as url:
        mailer = mailer_that_waits(url) if why == "called off" else mailer_that_waits(url, block_s=0.5)
        with pytest.raises(MailNotTakenError, match=why):
            mailer.send(large_mail(), stopped.is_set if why == "called off" else never)
        given_up.set()
    mailer_that_waits(slow.url).send(large_mail())

    assert stopped.is_set()
    assert len(slow.mails[0].get_payload()) >= 200_000 * 71  # in pieces, and whole


@pytest.mark.parametrize("talk", [no_greeting, no_answer_to_data])
def test_a_mail_that_is_called_off_before_it_was_handed_over_is_certainly_not_out(
    talk: Callable[[socket.socket], None],
) -> None:
    asked: list[bool] = []

    def called_off() -> bool:
        asked.append(True)
        return len(asked) > 5

    with rude(talk) as url, pytest.raises(MailNotTakenError, match="called off"):
        mailer_that_waits(url, called_off_s=60).send(some_mail(1), called_off)


def test_the_longest_answers_that_the_standard_allows_fit_into_one_attempt() -> None:
    patience = Patience()
    conversation = ["greeting", "EHLO", "MAIL", "RCPT"]

    longest_s = patience.connect_s + len(conversation) * patience.answer_s + patience.data_s
    longest_s += patience.block_s + patience.kept_s

    assert (patience.answer_s, patience.data_s, patience.block_s, patience.kept_s) == (300, 120, 180, 600)
    assert longest_s < MARKETING.attempts.attempt_s
