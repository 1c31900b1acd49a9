"""Settings that read well and lead nowhere, found by `manage.py check` and before the site is set up."""

from __future__ import annotations

import ipaddress
from typing import Any

import fsspec
from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def check_storage(**_arguments: Any) -> list[CheckMessage]:
    """An error when nothing here can write where exports and weights go."""
    hint = "file:///a/folder, or s3://bucket/folder with the package that fsspec wants for it in the environment."
    try:
        fsspec.core.url_to_fs(settings.STORAGE_URL)
    except (ValueError, ImportError, OSError) as error:
        return [Error(f"STORAGE_URL cannot be used: {error}", hint=hint, id="config.E001")]
    return []


@register()
def check_webhook_networks(**_arguments: Any) -> list[CheckMessage]:
    """An error for each network that is none: no webhook could be delivered."""
    return [
        Error(f"WEBHOOK_NETWORKS: {network!r} is no network.", hint="Such as 10.0.0.0/8.", id="config.E002")
        for network in settings.WEBHOOK_NETWORKS
        if not _is_network(network)
    ]


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True
