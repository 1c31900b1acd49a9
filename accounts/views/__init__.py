"""Pages about the account that django-allauth does not have, by topic."""
