from django.conf import settings
from django.http import HttpRequest


def site(_request: HttpRequest) -> dict[str, object]:
    """What every page may name: the site and the languages it speaks."""
    return {"site_name": settings.SITE_NAME, "site_url": settings.SITE_URL}
