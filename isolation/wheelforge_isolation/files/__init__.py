"""Files: created, linked, replaced, locked and removed on every platform."""
