"""State: SQLite for the embedded store."""
