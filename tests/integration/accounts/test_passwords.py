"""Which passwords are refused, wherever one is chosen, and that the page says why."""

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from tests import signing_in

STOLEN, KEYS, REPEATED, DATE = "known from thefts", "side by side", "Repeating something", "Dates are"
REFUSED = [
    ("password1234", STOLEN),
    ("Passw0rd!!!1", STOLEN),
    ("Iloveyou1234", STOLEN),
    ("1qaz2wsx3edc", "too common"),
    ("[poiuytrew", KEYS),
    ("xkcdxkcdxkcd", REPEATED),
    ("12.31.1987", DATE),
    ("20240229a!", DATE),
    ("marmaduke.marker1", "easy to guess"),
    ("short7Kx!", "at least 10"),
]


@pytest.mark.parametrize(("password", "reason"), REFUSED)
def test_a_password_that_thieves_try_is_refused_with_the_reason(password: str, reason: str) -> None:
    person = User(email="marmaduke.marker@example.org", name="Marmaduke")
    with pytest.raises(ValidationError) as refusal:
        validate_password(password, person)
    assert any(reason in message for message in refusal.value.messages), refusal.value.messages


@pytest.mark.parametrize(
    "password", ["copper lantern sideways", "kW8#qz!vT2pL", "我家的猫喜欢蓝色的椅子", "x7" + "q9Zt mandolin " * 20]
)
def test_a_good_password_of_any_kind_and_length_is_taken(password: str) -> None:
    validate_password(password, User(email="someone@example.org"))


def test_what_the_site_is_called_is_guessed_first(settings: Settings) -> None:
    validate_password("tethysiachat", User(email="someone@example.org"))
    settings.GUESSABLE_WORDS = [*settings.GUESSABLE_WORDS, "Tethysia"]
    with pytest.raises(ValidationError):
        validate_password("tethysiachat", User(email="someone@example.org"))
    assert settings.SITE_NAME in settings.GUESSABLE_WORDS


@pytest.mark.django_db
def test_the_form_says_why_where_a_password_is_chosen_or_changed(client: Client) -> None:
    cache.clear()
    page = client.post("/accounts/signup/", {"email": "new@example.org", "password1": "password1234"})
    assert "known from thefts elsewhere" in page.content.decode()
    assert not User.objects.exists()
    person = signing_in.person("reader@example.org")
    signed_in = signing_in.just_now(person)
    wish = {"oldpassword": signing_in.PASSWORD, "password1": "[poiuytrew", "password2": "[poiuytrew"}
    assert "side by side" in signed_in.post("/accounts/password/change/", wish).content.decode()
    person.refresh_from_db()
    assert person.check_password(signing_in.PASSWORD)
