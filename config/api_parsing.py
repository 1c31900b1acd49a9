"""Bodies of requests to the API: JSON that can be kept and answered, or a 400 that says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.utils.json import strict_constant


class WellFormedJSONParser(JSONParser):
    """JSON in a Unicode encoding, whatever the charset says; no half characters, which no database or answer takes."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            body = json.loads(stream.read(), parse_constant=strict_constant)
            json.dumps(body, ensure_ascii=False).encode()  # "\ud800" alone is JSON, and no text
        except (ValueError, RecursionError) as error:
            text = _("The body is not JSON: it is cut off, nested too deeply, or holds half of a character.")
            raise ParseError(text) from error
        return body
