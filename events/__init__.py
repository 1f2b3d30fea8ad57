"""Events: the envelope, the catalogue of facts, patterns, subscriptions and the log."""
