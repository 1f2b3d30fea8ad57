"""The mails that customers get, as messages ready to send."""

from email.message import EmailMessage

from orders.model import Order


def confirmation_mail(order: Order, *, sender: str, address: str, message_id: str) -> EmailMessage:
    """Thanks the customer and lists what was ordered.

    Args:
        order: what was ordered.
        sender: address of the shop.
        address: of the customer.
        message_id: names the mail.
    """
    lines = "\n".join(f"{line.quantity:>6} x {line.description}  {_pounds(line.amount_pence)}" for line in order.lines)
    return _mail(
        sender,
        address,
        message_id,
        subject=f"Your order {order.order_id}",
        text=f"Thank you for your order {order.order_id}.\n\n{lines}\n\nTotal: {_pounds(order.total_pence)}\n",
    )


def cancellation_mail(order_id: str, *, sender: str, address: str, message_id: str) -> EmailMessage:
    """Tells the customer that the order is off; arguments as for `confirmation_mail`."""
    return _mail(
        sender,
        address,
        message_id,
        subject=f"Your order {order_id} was cancelled",
        text=f"Your order {order_id} has been cancelled. You will be charged nothing.\n",
    )


def message_id_of(name: str) -> str:
    """The Message-ID of a mail that is named after its effect's idempotency key: the same however often it is sent."""
    return f"<{name.replace('/', '.')}@orderlab.example>"


def _mail(sender: str, address: str, message_id: str, *, subject: str, text: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = address
    mail["Subject"] = subject
    mail["Message-ID"] = message_id
    mail.set_content(text)
    return mail


def _pounds(pence: int) -> str:
    return f"GBP {pence // 100:,}.{pence % 100:02d}"
