"""Marketing: confirms an order by mail and takes its buyer out of the campaign; tells of a cancellation and puts back.

Each is an effect of its own, under a key of its own: a crash between two of them repeats neither.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import EmailMessage
from typing import TypeVar

from sqlalchemy import Connection
from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError

from activities.letting_go import let_go_if_refused
from activities.mailer import Mailer
from activities.mails import cancellation_mail, confirmation_mail, message_id_of
from activities.reacting import Reporter, believing_owners, cancellation_of, placement_of
from events.catalogue import CampaignLeft, CampaignRejoined, CancellationSent, ConfirmationSent
from events.envelope import Event
from events.subscriptions import Reaction
from orders.model import Placement, Style
from runtime.errors import NotDoneError, OrderIdTakenError, OutcomeUnknownError
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
from stores.outside import Outside

SentMail = TypeVar("SentMail", ConfirmationSent, CancellationSent)

_FIRST_PAUSE_S = MARKETING.attempts.attempt_s
"""Until a mail that may be out is sent again, for the first time: whoever sent it may be at it for as long as that. The
standard asks for 30 minutes at least (RFC 5321, 4.5.4.1)."""

_SENT_AT_MOST = 3
"""Times that a mail is sent by itself while nobody says whether it is out. Then it is parked: a person decides, and
what comes after it, such as the order's cancellation, waits no longer."""


class MarketingActivities:
    """Takes its database and its mail server, and tells what it did."""

    def __init__(
        self, ledger: Ledger, reporter: Reporter, mailer: Mailer, *, first_pause_s: float = _FIRST_PAUSE_S
    ) -> None:
        """Put marketing together.

        Args:
            ledger: on marketing's database.
            reporter: tells what was done.
            mailer: sends.
            first_pause_s: until a mail that may be out is sent again; doubled each time.
        """
        self._ledger = ledger
        self._reporter = reporter
        self._mailer = mailer
        self._first_pause_s = first_pause_s

    @activity.defn(name=THANK_CUSTOMER.activity, no_thread_cancel_exception=True)
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

    @activity.defn(name=TELL_CUSTOMER.activity, no_thread_cancel_exception=True)
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

    @activity.defn(name=ON_ORDER_PLACED, no_thread_cancel_exception=True)
    def on_order_placed(self, event: Event) -> Reaction:
        """`order.placed` → `confirmation.sent`, `campaign.left`; `order.cancelled` where the id is another order's."""
        try:
            thanked = self.thank_customer(placement_of(event))
        except OrderIdTakenError as taken:
            return self._reporter.refuse(event, taken)
        return self._reporter.tell(event, confirmation__sent=thanked.confirmation, campaign__left=thanked.campaign)

    @activity.defn(name=ON_ORDER_CANCELLED, no_thread_cancel_exception=True)
    @believing_owners
    def on_order_cancelled(self, event: Event) -> Reaction:
        """`shipment.failed`, `invoice.failed`, `order.cancelled` → `cancellation.sent`, `campaign.rejoined`."""
        told = self.tell_customer(cancellation_of(event))
        return self._reporter.tell(event, cancellation__sent=told.cancellation, campaign__rejoined=told.campaign)

    def _send_confirmation(self, placement: Placement, customer_id: str) -> ConfirmationSent:
        order = placement.order
        key = _key(placement.style, order.order_id, "confirmation.sent")

        def name(db: Connection) -> ConfirmationSent:
            message_id = message_id_of(tables.mail_name(db, key))
            address = self._mailer.address_of(customer_id)
            return ConfirmationSent(order_id=order.order_id, message_id=message_id, address=address)

        def mail(named: ConfirmationSent) -> EmailMessage:
            return confirmation_mail(
                order, sender=self._mailer.sender, address=named.address, message_id=named.message_id
            )

        with self._told_to_temporal():
            return self._ledger.perform(
                key,
                self._sending(key, name, mail),
                ConfirmationSent,
                content=placement.order.fingerprint,
                undone_by="cancellation.sent",
                rehearsal=placement.rehearsal,
                dice=placement.dice,
            )

    def _send_cancellation(self, cancellation: Cancellation) -> CancellationSent | None:
        style, order_id = cancellation.style, cancellation.order_id
        confirmed, key = (_key(style, order_id, effect) for effect in ("confirmation.sent", "cancellation.sent"))

        def name(db: Connection) -> CancellationSent:
            message_id = message_id_of(tables.mail_name(db, key))
            address = tables.confirmed_address(db, style, order_id)
            return CancellationSent(order_id=order_id, message_id=message_id, address=address)

        def mail(named: CancellationSent) -> EmailMessage:
            return cancellation_mail(
                order_id, sender=self._mailer.sender, address=named.address, message_id=named.message_id
            )

        with self._told_to_temporal():
            return self._ledger.undo(
                confirmed,
                key,
                self._sending(key, name, mail),
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

    def _sending(
        self,
        key: EffectKey,
        name: Callable[[Connection], SentMail],
        mail: Callable[[SentMail], EmailMessage],
    ) -> Outside[SentMail]:
        """How a mail is sent: a mail server takes its time, and a mail that is out can't be taken back.

        Args:
            key: of the effect.
            name: decides on Message-ID and address, which stay the same however often it is sent.
            mail: writes the mail that is named so.
        """

        def note(db: Connection) -> SentMail:
            named = name(db)
            tables.insert_mail(
                db,
                message_id=named.message_id,
                style=key.style,
                order_id=key.order_id,
                kind=key.effect,
                address=named.address,
            )
            return named

        return Outside(
            note=note,
            act=lambda named: self._mailer.send(mail(named), _is_called_off),
            withdraw=lambda db, named: tables.delete_mail(db, named.message_id),
            pause_s=self._pause_s,
        )

    def _pause_s(self, sent: int) -> float:
        """How long after a mail was sent so many times it may be sent again."""
        return 0 if self._mailer.drops_repeats(_is_called_off) else self._first_pause_s * 2.0 ** (sent - 1)

    @contextlib.contextmanager
    def _told_to_temporal(self) -> Iterator[None]:
        """Tell Temporal of an attempt that was called off, and when to try again what may have been done, if at all."""
        try:
            yield
        except (NotDoneError, OutcomeUnknownError) as error:
            details = activity.cancellation_details() if activity.in_activity() else None
            if details is not None and details.cancel_requested:
                raise CancelledError(str(error)) from error
            if isinstance(error, OutcomeUnknownError) and error.look_again_s is not None:
                raise ApplicationError(
                    str(error),
                    type=type(error).__name__,
                    non_retryable=error.tries >= _SENT_AT_MOST and self._is_answerable(),
                    next_retry_delay=timedelta(seconds=error.look_again_s),
                ) from error
            raise

    def _is_answerable(self) -> bool:
        """Whether sending a mail again would be a person's risk: not where the server may turn out to drop repeats."""
        return self._mailer.drops_repeats(_is_called_off) is not None


def _is_called_off() -> bool:
    """Whether this attempt is to come to an end: the order is cancelled, or this worker stops."""
    return activity.in_activity() and activity.is_cancelled()


def _key(style: Style, order_id: str, effect: str) -> EffectKey:
    return EffectKey(style, order_id, MARKETING.name, effect)
