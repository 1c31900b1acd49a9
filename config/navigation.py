"""Where a person can go from any page, and how the page looks to them."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

THEMES = ("system", "light", "dark")


@dataclass(frozen=True)
class Link:
    name: str
    label: str | Promise
    icon: str
    url: str
    is_current: bool


@dataclass(frozen=True)
class Place:
    """A page of the navigation; `permission` empty means every signed-in person."""

    name: str
    label: str | Promise
    icon: str
    permission: str = ""


PLACES = [
    Place("settings", _("Settings"), "settings"),
    Place("chat-preferences", _("Chat"), "chat"),
    Place("security", _("Security"), "shield"),
    Place("keys", _("API keys"), "key"),
    Place("webhooks", _("Webhooks"), "bell"),
    Place("activity", _("Activity"), "history"),
    Place("your_data", _("Your data"), "download"),
    Place("plans", _("Plans"), "card"),
    Place("usage", _("Usage"), "chart"),
    Place("review", _("Review"), "list", "feedback.review"),
    Place("dashboard", _("Dashboard"), "chart", "feedback.review"),
    Place("releases", _("Releases"), "package", "feedback.release"),
]


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _may_open(request: HttpRequest, place: Place) -> bool:
    if not place.permission:
        return True
    return request.user.is_staff or request.user.has_perm(place.permission)


def links_for(request: HttpRequest) -> list[Link]:
    """The places this person may open, in order; none for somebody who is not signed in."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return []
    found = [(place, _address(place.name)) for place in PLACES if _may_open(request, place)]
    return [
        Link(
            place.name,
            place.label,
            place.icon,
            url,
            request.path.startswith(url) if url != "/settings/" else request.path == url,
        )
        for place, url in found
        if url
    ]


def theme_of(request: HttpRequest | None) -> str:
    """ "system", "light" or "dark": the account's choice, else the cookie's, else the device's."""
    if request is None:
        return "system"
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return str(user.theme)
    chosen = request.COOKIES.get("theme", "system")
    return chosen if chosen in THEMES else "system"
