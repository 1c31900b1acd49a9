"""Versioned preference data: membership frozen in one transaction, then files that trainers open as they are."""
