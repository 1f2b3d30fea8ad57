"""`python -m server` finds or fetches the Temporal server, so that later commands have it at hand."""

import sys

from runtime.errors import NoServerError
from runtime.leave import leave
from server.binary import find_temporal_binary
from server.connect import configured_elsewhere

try:
    if not configured_elsewhere():
        find_temporal_binary(lambda line: print(line, file=sys.stderr))  # noqa: T201 - what a person reads
except NoServerError as error:
    print(error, file=sys.stderr)  # noqa: T201 - what a person reads
    leave(error.exit_code)
leave(0)
