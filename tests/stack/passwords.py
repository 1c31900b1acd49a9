"""How the passwords of people that tests make are stored."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class LightArgon2(Argon2PasswordHasher):
    """Argon2 at a hundredth of the work. A running stack takes it, and stores it at full strength when one signs in."""

    time_cost = 1
    memory_cost = 1024  # KiB
    parallelism = 1
