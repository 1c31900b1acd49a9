"""Who you are, by topic: the person and their consent, the keys of the API, what happened to the account."""

from accounts.models.keys import ApiKey, ApiKeyQuerySet
from accounts.models.people import ConsentEvent, User, UserManager, new_id

__all__ = ["ApiKey", "ApiKeyQuerySet", "ConsentEvent", "User", "UserManager", "new_id"]
