"""Finds out what was left half done of an order, in either style, and has it finished (`orderlab repair ORDER`)."""
