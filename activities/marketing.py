"""Marketing: confirms an order by mail and takes its buyer out of the campaign; tells of a cancellation and puts back.

Each is an effect of its own, under a key of its own: a crash between two of them repeats neither.
"""

from email.message import EmailMessage
from typing import TypeVar

from sqlalchemy import Connection
from temporalio import activity

from activities.letting_go import let_go_if_refused
from activities.mailer import Mailer
from activities.mails import cancellation_mail, confirmation_mail
from activities.reacting import Reporter, believing_owners, cancellation_of, placement_of
from events.catalogue import CampaignLeft, CampaignRejoined, CancellationSent, ConfirmationSent
from events.envelope import Event
from events.subscriptions import Reaction
from orders.model import Placement, Style
from runtime.errors import OrderIdTakenError
from services.marketing import (
    MARKETING,
    ON_ORDER_CANCELLED,
    ON_ORDER_PLACED,
    TELL_CUSTOMER,
    THANK_CUSTOMER,
    CustomerThanked,
    CustomerTold,
)
from services.service import Cancellation
from stores import marketing as tables
from stores.ledger import EffectKey, Ledger

SentMail = TypeVar("SentMail", ConfirmationSent, CancellationSent)


class MarketingActivities:
    """Takes its database and its mail server, and tells what it did."""

    def __init__(self, ledger: Ledger, reporter: Reporter, mailer: Mailer) -> None:
        self._ledger = ledger
        self._reporter = reporter
        self._mailer = mailer

    @activity.defn(name=THANK_CUSTOMER.activity)
    def thank_customer(self, placement: Placement) -> CustomerThanked:
        """Send the confirmation, then stop the campaign from writing to a customer who has just bought.

        A guest is nobody to write to. The saga and the subscription keep guests away from here; this is for others.
        """
        order, customer_id = placement.order, placement.order.customer_id
        if customer_id is None:
            if not placement.rehearsal:
                self._ledger.remember(placement.style, order.order_id, MARKETING.name, order.fingerprint)
            return CustomerThanked(confirmation=None, campaign=None)
        return CustomerThanked(
            confirmation=self._send_confirmation(placement, customer_id),
            campaign=self._leave_campaign(placement, customer_id),
        )

    @activity.defn(name=TELL_CUSTOMER.activity)
    def tell_customer(self, cancellation: Cancellation) -> CustomerTold:
        """Send the cancellation if a confirmation went out, and put the customer back if this order took them out.

        Each is undone even if the other can't be.
        """
        failures: list[Exception] = []
        told, back = None, None
        try:
            told = self._send_cancellation(cancellation)
        except Exception as failure:  # noqa: BLE001 - raised below
            failures.append(failure)
        try:
            back = self._rejoin_campaign(cancellation)
        except Exception as failure:  # noqa: BLE001 - likewise
            failures.append(failure)
        if failures:  # one that may pass first: then both are tried again, and one for good would end that
            raise min(failures, key=lambda failure: type(failure).__name__ in MARKETING.attempts.non_retryable)
        let_go_if_refused(self._ledger, MARKETING.name, cancellation)
        return CustomerTold(cancellation=told, campaign=back)

    @activity.defn(name=ON_ORDER_PLACED)
    def on_order_placed(self, event: Event) -> Reaction:
        """`order.placed` → `confirmation.sent`, `campaign.left`; `order.cancelled` where the id is another order's."""
        try:
            thanked = self.thank_customer(placement_of(event))
        except OrderIdTakenError as taken:
            return self._reporter.refuse(event, taken)
        return self._reporter.tell(event, confirmation__sent=thanked.confirmation, campaign__left=thanked.campaign)

    @activity.defn(name=ON_ORDER_CANCELLED)
    @believing_owners
    def on_order_cancelled(self, event: Event) -> Reaction:
        """`shipment.failed`, `invoice.failed`, `order.cancelled` → `cancellation.sent`, `campaign.rejoined`."""
        told = self.tell_customer(cancellation_of(event))
        return self._reporter.tell(event, cancellation__sent=told.cancellation, campaign__rejoined=told.campaign)

    def _send_confirmation(self, placement: Placement, customer_id: str) -> ConfirmationSent:
        order = placement.order
        key = _key(placement.style, order.order_id, "confirmation.sent")

        def send(db: Connection) -> ConfirmationSent:
            address = self._mailer.address_of(customer_id)
            name = tables.mail_name(db, key)
            mail = confirmation_mail(order, sender=self._mailer.sender, address=address, key=name)
            return self._send(
                db, key, mail, ConfirmationSent(order_id=order.order_id, message_id=mail["Message-ID"], address=address)
            )

        return self._ledger.perform(
            key,
            send,
            ConfirmationSent,
            content=placement.order.fingerprint,
            undone_by="cancellation.sent",
            rehearsal=placement.rehearsal,
            dice=placement.dice,
        )

    def _send_cancellation(self, cancellation: Cancellation) -> CancellationSent | None:
        confirmed = _key(cancellation.style, cancellation.order_id, "confirmation.sent")
        key = _key(cancellation.style, cancellation.order_id, "cancellation.sent")

        def send(db: Connection) -> CancellationSent:
            order_id = cancellation.order_id
            address = tables.confirmed_address(db, cancellation.style, order_id)
            name = tables.mail_name(db, key)
            mail = cancellation_mail(order_id, sender=self._mailer.sender, address=address, key=name)
            return self._send(
                db, key, mail, CancellationSent(order_id=order_id, message_id=mail["Message-ID"], address=address)
            )

        return self._ledger.undo(
            confirmed,
            key,
            send,
            CancellationSent,
            content=cancellation.content,
            since_us=cancellation.since_us,
            dice=cancellation.dice,
        )

    def _leave_campaign(self, placement: Placement, customer_id: str) -> CampaignLeft | None:
        if not tables.is_member(self._ledger.engine, customer_id):
            return None
        style, order_id = placement.style, placement.order.order_id

        def leave(db: Connection) -> CampaignLeft:
            tables.leave_campaign(db, style, order_id, customer_id)
            return CampaignLeft(order_id=order_id, campaign=tables.CAMPAIGN, customer_id=customer_id)

        key = _key(style, order_id, "campaign.left")
        return self._ledger.perform(
            key,
            leave,
            CampaignLeft,
            content=placement.order.fingerprint,
            undone_by="campaign.rejoined",
            rehearsal=placement.rehearsal,
            dice=placement.dice,
        )

    def _rejoin_campaign(self, cancellation: Cancellation) -> CampaignRejoined | None:
        style, order_id = cancellation.style, cancellation.order_id

        def rejoin(db: Connection) -> CampaignRejoined:
            customer_id = tables.rejoin_campaign(db, style, order_id)
            return CampaignRejoined(order_id=order_id, campaign=tables.CAMPAIGN, customer_id=customer_id)

        left, rejoined = (_key(style, order_id, effect) for effect in ("campaign.left", "campaign.rejoined"))
        return self._ledger.undo(
            left,
            rejoined,
            rejoin,
            CampaignRejoined,
            content=cancellation.content,
            since_us=cancellation.since_us,
            dice=cancellation.dice,
        )

    def _send(self, db: Connection, key: EffectKey, mail: EmailMessage, sent: SentMail) -> SentMail:
        """Send a mail within the transaction that records it.

        The transaction holds the effect's key meanwhile, so nobody compensates what is just being sent. But a mail
        can't be rolled back: should we die before the commit, it goes out again, under the same Message-ID, by which
        the embedded server (and a careful recipient) drops it.
        """
        self._mailer.send(mail)
        tables.insert_mail(
            db,
            message_id=sent.message_id,
            style=key.style,
            order_id=key.order_id,
            kind=key.effect,
            address=sent.address,
        )
        return sent


def _key(style: Style, order_id: str, effect: str) -> EffectKey:
    return EffectKey(style, order_id, MARKETING.name, effect)
