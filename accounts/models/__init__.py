"""Who you are, by topic: the person and their consent, the keys of the API, what happened to the account, its end."""

from accounts.models.activity import ActivityEvent
from accounts.models.keys import ApiKey, ApiKeyQuerySet
from accounts.models.leaving import DataCopy, Deletion, ErasureReceipt
from accounts.models.people import ConsentEvent, User, UserManager, new_id
from accounts.models.webhooks import WebhookDelivery, WebhookEndpoint, WebhookTry

__all__ = [
    "ActivityEvent",
    "ApiKey",
    "ApiKeyQuerySet",
    "ConsentEvent",
    "DataCopy",
    "Deletion",
    "ErasureReceipt",
    "User",
    "UserManager",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookTry",
    "new_id",
]
