"""PLACEHOLDER, to be overwritten by the real implementation."""

from collections.abc import Mapping

from pydantic import RootModel


class Pattern(RootModel[dict[str, object]]):
    @classmethod
    def parse(cls, raw: Mapping[str, object]) -> "Pattern":
        return cls(dict(raw))

    def matches(self, event: Mapping[str, object]) -> bool:
        if event["type"] not in self.root["type"]:
            return False
        return "data" not in self.root or event["data"]["customer_id"] is not None
