"""Invoicing: issues the invoice of an order, and takes it back by a credit note."""

from sqlalchemy import Connection
from temporalio import activity

from activities.letting_go import let_go_if_refused
from activities.reacting import Reporter, believing_owners, cancellation_of, placement_of
from events.catalogue import CreditNoteIssued, InvoiceIssued
from events.envelope import Event
from events.subscriptions import Reaction
from orders.model import Placement, Style
from runtime.errors import OrderIdTakenError
from services.invoicing import INVOICING, ISSUE_CREDIT_NOTE, ISSUE_INVOICE, ON_ORDER_CANCELLED, ON_ORDER_PLACED
from services.service import Cancellation
from stores import invoicing as tables
from stores.ledger import EffectKey, Ledger


class InvoicingActivities:
    """Takes its database and tells what it did."""

    def __init__(self, ledger: Ledger, reporter: Reporter) -> None:
        self._ledger = ledger
        self._reporter = reporter

    @activity.defn(name=ISSUE_INVOICE.activity)
    def issue_invoice(self, placement: Placement) -> InvoiceIssued:
        """Write the invoice, under the next number of the style's series."""
        order = placement.order

        def issue(db: Connection) -> InvoiceIssued:
            number = tables.insert_invoice(db, placement.style, order)
            return InvoiceIssued(order_id=order.order_id, invoice_number=number, total_pence=order.total_pence)

        key = _key(placement.style, order.order_id, "invoice.issued")
        return self._ledger.perform(
            key,
            issue,
            InvoiceIssued,
            content=order.fingerprint,
            undone_by="credit_note.issued",
            rehearsal=placement.rehearsal,
            dice=placement.dice,
        )

    @activity.defn(name=ISSUE_CREDIT_NOTE.activity)
    def issue_credit_note(self, cancellation: Cancellation) -> CreditNoteIssued | None:
        """Take the invoice back; None where there was none."""
        style, order_id = cancellation.style, cancellation.order_id

        def credit(db: Connection) -> CreditNoteIssued:
            number, invoice, pence = tables.insert_credit_note(db, style, order_id)
            return CreditNoteIssued(
                order_id=order_id, credit_note_number=number, invoice_number=invoice, total_pence=pence
            )

        issued, credited = (_key(style, order_id, effect) for effect in ("invoice.issued", "credit_note.issued"))
        undone = self._ledger.undo(
            issued,
            credited,
            credit,
            CreditNoteIssued,
            content=cancellation.content,
            since_us=cancellation.since_us,
            dice=cancellation.dice,
        )
        let_go_if_refused(self._ledger, INVOICING.name, cancellation)
        return undone

    @activity.defn(name=ON_ORDER_PLACED)
    def on_order_placed(self, event: Event) -> Reaction:
        """`order.placed` → `invoice.issued`; `order.cancelled` where the order id is another order's."""
        try:
            issued = self.issue_invoice(placement_of(event))
        except OrderIdTakenError as taken:
            return self._reporter.refuse(event, taken)
        return self._reporter.tell(event, invoice__issued=issued)

    @activity.defn(name=ON_ORDER_CANCELLED)
    @believing_owners
    def on_order_cancelled(self, event: Event) -> Reaction:
        """`shipment.failed`, `invoice.failed`, `order.cancelled` → `credit_note.issued`."""
        return self._reporter.tell(event, credit_note__issued=self.issue_credit_note(cancellation_of(event)))


def _key(style: Style, order_id: str, effect: str) -> EffectKey:
    return EffectKey(style, order_id, INVOICING.name, effect)
