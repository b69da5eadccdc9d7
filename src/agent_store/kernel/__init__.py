"""What an agent is made of. Imports no driver, SDK, web framework or engine (import-linter keeps it so)."""
