"""Several hundred hostile texts: what has run scripts or loaded things through Markdown, HTML, SVG and MathML.

hostile.json has those without a system. All are written from the descriptions of published vectors. Whatever of it runs
calls `pwned()`; whatever loads asks for `http://evil.invalid/`.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

RUN = "pwned()"

_HANDLER_TAGS = (
    "<img src=x {}>", "<svg {}>", "<body {}>", "<details open {}>x</details>", "<math {}>x</math>",
    "<video src=x {}></video>", "<p {} tabindex=0 autofocus>x</p>",
)  # fmt: skip
_SCHEMES = (
    "javascript:pwned()", "JaVaScRiPt:pwned()", "java\tscript:pwned()", "java\nscript:pwned()", " javascript:pwned()",
    "\x01javascript:pwned()", "javascript&colon;pwned()", "&#106;avascript:pwned()", "&#x6A;avascript:pwned()",
    "javascript&#58;pwned()", "&#0000106avascript:pwned()", "jav&#x09;ascript:pwned()", "jav&#x0A;ascript:pwned()",
    "jav&Tab;ascript:pwned()", "javascript&NewLine;:pwned()", "javascript%3Apwned()", "javascript://%0Apwned()",
    "javascript:/*--></title></style></script><svg onload=pwned()>*/pwned()", "vbscript:pwned()", "livescript:pwned()",
    "data:text/html,<script>pwned()</script>", "data:text/html;base64,PHNjcmlwdD5wd25lZCgpPC9zY3JpcHQ+",
    "data:image/svg+xml,<svg onload=pwned()>", "data:text/javascript,pwned()", "data:application/xhtml+xml,x",
    "blob:pwned", "file:///etc/passwd", "filesystem:x", "view-source:javascript:pwned()", "feed:javascript:pwned()",
    "jar:javascript:pwned()", "about:blank", "//javascript:pwned()", "\u2028javascript:pwned()", "ｊavascript:pwned()",
    "javascript\u200b:pwned()", "x-javascript:pwned()", "intent://x#Intent;scheme=http;end", "tel:pwned",
)  # fmt: skip
_LINKS = (
    "[x]({})", "[x](<{}>)", '[x]({} "title")', "![x]({})", "<{}>", "[x]: {}\n\n[x]", '<a href="{}">x</a>',
    "<a href='{}'>x</a>", '<iframe src="{}"></iframe>',
)  # fmt: skip

# Deep or wide: about time and memory, and what a parser does when it gives up.
_DEEP = (
    "$" + "{" * 500 + "x" + "}" * 500 + "$",
    "[x]" * 300,
    "![" * 300,
    "*" * 2000,
    "`" * 999,
    ">" * 300 + "x",
)


def payloads() -> list[str]:
    """All of them, each once, in a fixed order."""
    kept = json.loads((Path(__file__).parent / "hostile.json").read_text())
    handlers = [f"on{event}={RUN}" for event in kept["events"]]
    tagged = [tag.format(handler) for handler, tag in zip(handlers, _HANDLER_TAGS * 8, strict=False)]
    quoted = [f"<img src=x on{event}='{RUN}' >" for event in kept["events"]]
    links = [link.format(scheme) for scheme, link in product(_SCHEMES, _LINKS)]
    return list(dict.fromkeys([*kept["html"], *kept["markdown"], *_DEEP, *tagged, *quoted, *links]))
