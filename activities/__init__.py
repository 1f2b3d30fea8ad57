"""What each service does, how it undoes it, and how it reacts to events. One file per service; none knows another."""
