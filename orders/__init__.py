"""What an order is, and where real ones come from."""
