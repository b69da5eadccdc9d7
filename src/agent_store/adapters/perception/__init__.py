"""Who listens to voice notes and looks at pictures."""
