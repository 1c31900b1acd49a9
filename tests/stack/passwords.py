"""How the passwords of people that tests make are stored."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher

LIGHT_HASHER = "tests.stack.passwords.LightArgon2"


class LightArgon2(Argon2PasswordHasher):
    """Argon2 at a hundredth of the work, for people whom no running process sees."""

    time_cost = 1
    memory_cost = 1024  # KiB
    parallelism = 1
