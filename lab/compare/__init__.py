"""`orderlab compare`: the measured comparison of both styles, and the report a team can decide from."""
