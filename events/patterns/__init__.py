"""Event patterns as in Amazon EventBridge: which events a subscriber wants.

A pattern has the shape of the events that it matches. Each field of it must match; a field lists alternatives, of
which one is enough:

    {"type": ["order.placed"], "data": {"country": [{"prefix": "United"}], "coupon": [{"exists": true}]}}

What can't be used is refused when the pattern is made, never ignored: a subscriber who is told nothing would not
notice that a condition was dropped.

The rules are those of the EventBridge user guide, https://docs.aws.amazon.com/eventbridge/latest/userguide/. Where that
is silent, the open source of the engine decides: https://github.com/aws/event-ruler. `docs/patterns.md` shows every
operator, and lists where we still differ from the engine, and who is right.

`model.py` has the pattern itself, `reading.py` takes its JSON apart, `operators.py` and `addresses.py` judge one value,
`matching.py` looks for such values in an event.
"""

from events.patterns.errors import PatternError
from events.patterns.model import Pattern

__all__ = ["Pattern", "PatternError"]
