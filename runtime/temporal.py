"""What client, workers and replayer must agree on, in one plugin."""

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.plugin import SimplePlugin

ORDERLAB_PLUGIN = SimplePlugin("orderlab", data_converter=pydantic_data_converter)
"""Gives every client, worker and replayer the pydantic converter: models travel as plain JSON."""

MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
"""The largest single payload a Temporal server takes by default (`limit.blobSize.error`)."""
