"""Sign in as a person does; `just_now` has just given the password again, so that sensitive pages do not ask for it."""

from django.conf import settings
from django.core.cache import cache
from django.test import Client

from accounts.models import User

PASSWORD = "a long enough secret"


def person(email: str, **fields: object) -> User:
    user = User.objects.create_user(email, PASSWORD, **fields)
    user.emailaddress_set.create(email=user.email, verified=True, primary=True)
    return user


def just_now(user: User, password: str = PASSWORD) -> Client:
    cache.clear()  # earlier tests' tries count against the same address
    client = Client()
    answer = client.post("/accounts/login/", {"login": user.email, "password": password})
    assert answer.status_code == 302, answer.content.decode()
    client.post("/accounts/reauthenticate/", {"password": password})
    return client


def long_ago(user: User) -> Client:
    """Signed in, but not so recently that a sensitive page would not ask for the password."""
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def headers_of(user: User, site: str) -> dict[str, str]:
    """What this person's browser sends with each request to the running site at this address."""
    session, token = long_ago(user).cookies[settings.SESSION_COOKIE_NAME].value, "a" * 32
    cookies = f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={token}"
    return {"Cookie": cookies, "X-CSRFToken": token, "Origin": site}
