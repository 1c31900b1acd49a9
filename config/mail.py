"""Mail without a mail server: printed in the log and kept as a file, so that one machine can try all of it."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from accounts.models import User

logger = logging.getLogger("mail")


class LogAndFileBackend(BaseEmailBackend):
    """Writes each message to `EMAIL_FILE_PATH` (mode 0600) and its text to the log."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for message in email_messages:
            stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
            path = folder / f"{stamp}.eml"
            path.touch(mode=0o600)
            path.write_bytes(message.message().as_bytes())
            logger.info("To %s: %s\n%s\n(kept in %s)", ", ".join(message.to), message.subject, message.body, path)
        return len(email_messages)


def forget_letters(*, user: User, **_arguments: Any) -> None:
    """Remove the kept letters to a person who leaves."""
    for path in Path(settings.EMAIL_FILE_PATH).glob("*.eml") if hasattr(settings, "EMAIL_FILE_PATH") else ():
        if user.email.encode() in path.read_bytes():
            path.unlink(missing_ok=True)
