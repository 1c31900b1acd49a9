"""How a second step is added, where django-allauth leaves it to us."""

from __future__ import annotations

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.utils import encrypt


class AuthenticatorAppForm(ActivateTOTPForm):  # type: ignore[misc]
    """The code that adds an app counts as used, as one that signs in does: whoever saw it typed cannot use it again."""

    def clean_code(self) -> str:
        code: str = super().clean_code()
        app = Authenticator(user=self.user, type=Authenticator.Type.TOTP, data={"secret": encrypt(self.secret)})
        if not app.wrap().validate_code(code):  # this is what remembers it
            raise get_adapter().validation_error("incorrect_code")
        return code
