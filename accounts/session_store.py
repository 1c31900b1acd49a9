"""Sessions in the database, each read together with the person it belongs to: of every request the first statement."""

from __future__ import annotations

from django.conf import settings
from django.contrib import auth
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts import prepared
from accounts.models import User

# Lets in whoever is active, and asks nothing else: what is said here of a person holds for it alone.
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
_COLUMNS = len(Session._meta.concrete_fields)
_STATEMENT = f"""
SELECT {prepared.columns(Session, of="session")}, {prepared.columns(User, of="person")} FROM django_session session
LEFT JOIN usersessions_usersession opened ON opened.session_key = session.session_key
LEFT JOIN accounts_user person ON person.id = opened.user_id
WHERE session.session_key = %(key)s AND session.expire_date > %(now)s
"""  # noqa: S608 - of our own columns


class SessionStore(db.SessionStore):
    """Django's, which knows whose the session was when somebody signed in."""

    person: User | None = None

    def _get_session_from_db(self) -> Session | None:
        found = prepared.fetch(_STATEMENT, {"key": self.session_key, "now": timezone.now()})
        if not found:
            self._session_key = None
            return None
        (row,) = found
        if row[_COLUMNS] is not None:
            self.person = prepared.made(User, row[_COLUMNS:])
        return prepared.made(Session, row[:_COLUMNS])


def person_of(request: HttpRequest) -> AbstractBaseUser | AnonymousUser:
    """Who is signed in, as `django.contrib.auth.get_user` says: asked only where the session itself does not tell."""
    session = request.session
    claimed = session.get(SESSION_KEY)  # reads the session
    person: User | None = getattr(session, "person", None)
    if (
        person is not None
        and claimed == str(person.pk)
        and person.is_active
        and session.get(BACKEND_SESSION_KEY) == BACKEND
        and BACKEND in settings.AUTHENTICATION_BACKENDS
        and constant_time_compare(session.get(HASH_SESSION_KEY, ""), person.get_session_auth_hash())
    ):
        return person
    return auth.get_user(request)
