"""What client, workers and replayer must agree on, in one plugin."""

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.plugin import SimplePlugin

ORDERLAB_PLUGIN = SimplePlugin("orderlab", data_converter=pydantic_data_converter)
"""Gives every client, worker and replayer the pydantic converter: models travel as plain JSON."""

MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
"""The largest single payload a Temporal server takes by default (`limit.blobSize.error`)."""

MAX_ID_CHARS = 255
"""The longest workflow id in characters: PostgreSQL's and MySQL's tables of a Temporal server have `VARCHAR(255)`."""

MAX_ID_BYTES = 1_000
"""The longest id in bytes of UTF-8 that a Temporal server takes by default (`limit.maxIDLength`)."""
