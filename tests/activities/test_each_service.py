"""What each service does in particular."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from activities.analytics import AnalyticsActivities
from activities.invoicing import InvoicingActivities
from activities.mailer import MailRefusedError
from activities.mails import confirmation_mail
from activities.marketing import MarketingActivities
from activities.shipping import ShippingActivities
from faults.dice import Dice, PermanentFaultError, TransientFaultError
from faults.plan import FaultPlan
from orders.model import Order
from server.mail import MailServer
from server.ports import LOOPBACK, free_ports
from stores import marketing
from stores.shipping import tracking_number
from tests.activities.conftest import Seen, at_once, cancelled, mailer_to, placed


def renamed(order: Order, number: int) -> Order:
    return order.model_copy(update={"order_id": f"{order.order_id}-{number}"})


def test_a_shipment_has_its_country_its_lines_and_a_tracking_number(
    ship: ShippingActivities, seen: Seen, order: Order
) -> None:
    shipment = ship.begin_fulfilment(placed(order))

    (row,) = seen.rows("shipments")
    assert (row["tracking_number"], row["status"], row["country"]) == (
        shipment.tracking_number,
        "preparing",
        order.country,
    )
    assert len(seen.rows("shipment_lines")) == len(order.lines)


def test_a_tracking_number_has_the_check_digit_of_s10() -> None:
    assert tracking_number(47312482) == "RR473124829GB"
    assert len({tracking_number(serial) for serial in range(1, 500)}) == 499


def test_a_cancelled_shipment_says_so(ship: ShippingActivities, seen: Seen, order: Order) -> None:
    ship.begin_fulfilment(placed(order))
    ship.cancel_shipment(cancelled(order))

    assert [row["status"] for row in seen.rows("shipments")] == ["cancelled"]


def test_invoices_are_numbered_without_gaps_in_a_series_per_style(
    invoice: InvoicingActivities, seen: Seen, order: Order
) -> None:
    at_once([partial(invoice.issue_invoice, placed(renamed(order, number))) for number in range(8)])
    invoice.issue_invoice(placed(order, "choreography"))

    numbers = sorted(row["number"] for row in seen.rows("invoices"))
    assert numbers == ["INV-C-000001", *(f"INV-S-{number:06d}" for number in range(1, 9))]


def test_a_number_drawn_by_a_transaction_that_fails_is_given_back(
    invoice: InvoicingActivities, seen: Seen, order: Order
) -> None:
    invoice.issue_invoice(placed(renamed(order, 1)))
    seen.run("ALTER TABLE invoice_lines RENAME TO lost")
    with pytest.raises(Exception, match="invoice_lines"):
        invoice.issue_invoice(placed(renamed(order, 2)))
    seen.run("ALTER TABLE lost RENAME TO invoice_lines")
    invoice.issue_invoice(placed(renamed(order, 3)))

    assert sorted(row["number"] for row in seen.rows("invoices")) == ["INV-S-000001", "INV-S-000002"]


def test_an_invoice_adds_up(invoice: InvoicingActivities, seen: Seen, order: Order) -> None:
    issued = invoice.issue_invoice(placed(order))

    assert issued.total_pence == sum(row["amount_pence"] for row in seen.rows("invoice_lines")) == order.total_pence


def test_a_credit_note_has_a_series_of_its_own_and_names_the_invoice(
    invoice: InvoicingActivities, order: Order
) -> None:
    for number in range(2):
        invoice.issue_invoice(placed(renamed(order, number)))
    note = invoice.issue_credit_note(cancelled(renamed(order, 1)))

    assert note is not None
    assert (note.credit_note_number, note.invoice_number) == ("CRN-S-000001", "INV-S-000002")
    assert note.total_pence == order.total_pence


def test_sales_recorded_at_once_all_count(count: AnalyticsActivities, seen: Seen, order: Order) -> None:
    at_once([partial(count.record_sale, placed(renamed(order, number))) for number in range(16)])

    (day,) = seen.rows("sales_by_day")
    assert (day["orders"], day["revenue_pence"]) == (16, 16 * order.total_pence)
    assert sum(row["revenue_pence"] for row in seen.rows("sales_by_product")) == 16 * order.total_pence
    assert sum(row["units"] for row in seen.rows("sales_by_country")) == 16 * sum(x.quantity for x in order.lines)


def test_a_reversed_sale_is_in_no_figure(count: AnalyticsActivities, seen: Seen, order: Order) -> None:
    count.record_sale(placed(order))
    count.reverse_sale(cancelled(order))

    for table in ("sales_by_day", "sales_by_country", "sales_by_product"):
        assert all((row["orders"], row["units"], row["revenue_pence"]) == (0, 0, 0) for row in seen.rows(table))


def test_a_confirmation_is_a_mail_to_the_customer_with_what_was_ordered(
    market: MarketingActivities, tmp_path: Path, order: Order
) -> None:
    market.thank_customer(placed(order))

    (file,) = (tmp_path / "mail").glob("*.eml")
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert mail["To"] == f"{order.customer_id}@customers.example"
    assert order.order_id in mail["Subject"]
    body = mail.get_body()
    assert body is not None
    assert order.lines[0].description in body.get_content()


def test_a_customer_is_out_of_the_campaign_while_one_order_keeps_them_out(
    market: MarketingActivities, order: Order
) -> None:
    engine = market._ledger.engine  # noqa: SLF001 - what the campaign itself would ask
    first, second = renamed(order, 1), renamed(order, 2)
    market.thank_customer(placed(first))
    market.thank_customer(placed(second))
    market.tell_customer(cancelled(first))
    still_out = marketing.active_members(engine, "saga")
    market.tell_customer(cancelled(second))

    assert order.customer_id not in still_out
    assert marketing.active_members(engine, "saga") == {order.customer_id}


def test_a_guest_gets_no_mail(market: MarketingActivities, seen: Seen, tmp_path: Path, order: Order) -> None:
    market.thank_customer(placed(order.model_copy(update={"customer_id": None})))

    assert seen.names() == []
    assert not list((tmp_path / "mail").glob("*.eml"))


def test_a_crash_between_the_two_effects_repeats_neither(
    market: MarketingActivities, seen: Seen, tmp_path: Path, order: Order
) -> None:
    seen.run("ALTER TABLE campaign_exits RENAME TO lost")
    with pytest.raises(Exception, match="campaign_exits"):
        market.thank_customer(placed(order))
    after_crash = seen.names()
    seen.run("ALTER TABLE lost RENAME TO campaign_exits")
    market.thank_customer(placed(order))

    assert after_crash == ["confirmation.sent"]
    assert seen.names() == ["campaign.left", "confirmation.sent"]
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 1


def test_a_crash_between_the_mail_and_its_record_leaves_one_mail(
    market: MarketingActivities, seen: Seen, tmp_path: Path, order: Order
) -> None:
    seen.run("ALTER TABLE mails RENAME TO lost")
    with pytest.raises(Exception, match="mails"):
        market.thank_customer(placed(order))
    seen.run("ALTER TABLE lost RENAME TO mails")
    market.thank_customer(placed(order))

    assert len(list((tmp_path / "mail").glob("*.eml"))) == 1
    assert len(seen.effects(effect="confirmation.sent")) == 1


def test_without_a_confirmation_no_cancellation_is_sent(
    market: MarketingActivities, tmp_path: Path, order: Order
) -> None:
    told = market.tell_customer(cancelled(order))

    assert told.cancellation is None
    assert not list((tmp_path / "mail").glob("*.eml"))


class Refusing:
    """A mail server that answers as it is told."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        return self.answer


@pytest.mark.parametrize(("answer", "raised"), [("550 no such customer", MailRefusedError), ("451 try later", OSError)])
def test_a_refusal_for_good_is_told_from_one_for_now(
    market: MarketingActivities, seen: Seen, order: Order, answer: str, raised: type[Exception]
) -> None:
    (port,) = free_ports(0)
    controller = Controller(Refusing(answer), hostname=LOOPBACK, port=port)
    controller.start()
    market._mailer = mailer_to(f"smtp://{LOOPBACK}:{port}")  # noqa: SLF001 - another server than the fixture's
    try:
        with pytest.raises(raised, match=answer[4:]):
            market.thank_customer(placed(order))
    finally:
        controller.stop()

    assert seen.names() == []


def test_a_mail_server_that_is_away_is_to_be_tried_again(
    market: MarketingActivities, mail_server: MailServer, seen: Seen, order: Order
) -> None:
    market._mailer = mailer_to(f"smtp://{LOOPBACK}:1")  # noqa: SLF001
    with pytest.raises(OSError, match="refused"):
        market.thank_customer(placed(order))
    market._mailer = mailer_to(mail_server.url)  # noqa: SLF001
    market.thank_customer(placed(order))

    assert seen.names() == ["campaign.left", "confirmation.sent"]


def test_a_connection_that_the_server_closed_is_opened_again(tmp_path: Path, order: Order) -> None:
    def mail(message_id: str) -> EmailMessage:
        return confirmation_mail(order, sender="shop@x.example", address="17850@x.example", message_id=message_id)

    with MailServer(tmp_path / "mail") as server:
        url = server.url
        mailer = mailer_to(url)
        mailer.send(mail("<first@shop>"))
    with MailServer(tmp_path / "mail", int(url.rsplit(":", 1)[1])):
        mailer.send(mail("<second@shop>"))

    assert len(list((tmp_path / "mail").glob("*.eml"))) == 2


def test_an_undoing_that_may_pass_is_tried_again_though_the_other_fails_for_good(
    market: MarketingActivities, seen: Seen, order: Order
) -> None:
    faults = {"cancellation.sent": {"transient": 1, "transient_attempts": 1}, "campaign.rejoined": {"permanent": 1}}
    dice = Dice(plan=FaultPlan.model_validate({"name": "both", "services": {"marketing": faults}}), seed=1)
    market.thank_customer(placed(order))
    undo = cancelled(order).model_copy(update={"dice": dice})

    with pytest.raises(TransientFaultError):
        market.tell_customer(undo)
    with pytest.raises(PermanentFaultError):
        market.tell_customer(undo)

    assert "cancellation.sent" in seen.names()
    assert "campaign.rejoined" not in seen.names()
