"""Guarantee 1: the mails say what was ordered, word by word."""

from collections.abc import Iterator

from lab.audit.mails import Mail
from lab.audit.orders import Content


def letter_violations(kind: str, mail: Mail, order_id: str, content: Content) -> Iterator[str]:
    """What is wrong with what a mail says.

    Args:
        kind: the effect that it is the mail of.
        mail: as it was kept.
        order_id: of the order.
        content: what was ordered.
    """
    subject, text = _confirmation(order_id, content) if kind == "confirmation.sent" else _cancellation(order_id)
    if mail.subject != subject:
        yield f"the mail of {kind} has the subject {mail.subject!r}, not {subject!r}"
    said, should = mail.text.splitlines(), text.splitlines()
    if said != should:
        wrong = next((n for n, (one, other) in enumerate(zip(said, should, strict=False)) if one != other), len(should))
        yield f"the mail of {kind} says something else than was ordered, in line {wrong + 1}"


def _confirmation(order_id: str, content: Content) -> tuple[str, str]:
    lines = "\n".join(
        f"{line.quantity:>6} x {line.description}  {_pounds(line.amount_pence)}" for line in content.lines
    )
    total = _pounds(content.total_pence)
    return f"Your order {order_id}", f"Thank you for your order {order_id}.\n\n{lines}\n\nTotal: {total}\n"


def _cancellation(order_id: str) -> tuple[str, str]:
    text = f"Your order {order_id} has been cancelled. You will be charged nothing.\n"
    return f"Your order {order_id} was cancelled", text


def _pounds(pence: int) -> str:
    pounds, rest = divmod(pence, 100)
    return f"GBP {pounds:,}.{rest:02}"
