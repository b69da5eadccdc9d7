"""Stock by location: levels, reservations, the ledger of movements."""
