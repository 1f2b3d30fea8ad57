"""The fault plan and its dice: what goes wrong for which order, the same in both styles. Knows no service by name."""
