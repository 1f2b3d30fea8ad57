"""Writes the JSON Schema of every event type in the catalogue to docs/events: `make schemas`."""

import json

from events.catalogue import CATALOGUE
from runtime.settings import PROJECT

DIRECTORY = PROJECT / "docs" / "events"


def schemas() -> dict[str, str]:
    """File name to content, for every event type."""
    return {f"{event_type}.json": json.dumps(_schema(event_type), indent=2) + "\n" for event_type in CATALOGUE}


def _schema(event_type: str) -> dict[str, object]:
    schema = CATALOGUE[event_type].model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": event_type}


if __name__ == "__main__":
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")
