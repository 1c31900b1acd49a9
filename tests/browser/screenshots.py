"""The pictures of the docs, taken of the real pages: `pytest tests/browser/screenshots.py` writes docs/screenshots/."""

import uuid

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import User
from feedback import capture
from tests import factories
from tests.stack.processes import ROOT

FOLDER = ROOT / "docs" / "screenshots"
REPLY = """\
A quick sort picks a pivot and sorts what is smaller and what is larger apart:

```python
def quick_sort(items):
    if len(items) < 2:
        return items
    pivot, *rest = items
    return quick_sort([x for x in rest if x < pivot]) + [pivot] + quick_sort([x for x in rest if x >= pivot])
```

On average it takes $n \\log n$ steps.

| case | steps |
|---|--:|
| average | $n \\log n$ |
| worst | $n^2$ |
"""


@pytest.fixture
def talk(stack):
    call_command("sync_plans")
    user = factories.consenting_user()
    User.objects.filter(pk=user.pk).update(name="Ann", email="ann@example.org")
    user.refresh_from_db()
    for title in ("Recipes with lentils", "A name for a boat", "Taxes in 2026"):
        reply = factories.conversation(user, (title, "Gladly."))
        reply.conversation.title = title
        reply.conversation.save()
    last = factories.conversation(user, ("Show me a quick sort in Python, and say how fast it is.", REPLY))
    last.conversation.title = "Quick sort in Python"
    last.conversation.save()
    return last


def shoot(page, path, name, *, full=False):
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png", full_page=full)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {}),
        ("dark", {"dark": True}),
        ("phone", {"phone": True}),
        ("chinese", {"locale": "zh-CN"}),
    ],
)
def test_pages(talk, new_page, name, options):
    FOLDER.mkdir(parents=True, exist_ok=True)
    user = talk.conversation.user
    capture.rate(user=user, message=talk, value=1, client_event_id=uuid.uuid4(), now=timezone.now())
    page = new_page(user, **options)
    shoot(page, f"/c/{talk.conversation_id}", f"chat-{name}")
    shoot(page, "/billing/plans", f"plans-{name}")
    shoot(page, "/settings/", f"settings-{name}")
    shoot(page, "/billing/usage", f"usage-{name}")
    admin = User.objects.create_superuser("admin@example.org", "a long and rare passphrase")
    staff = new_page(admin, **options)
    shoot(staff, "/feedback/review/", f"review-{name}")
    shoot(staff, "/feedback/releases/", f"releases-{name}")
    shoot(new_page(**options), "/", f"home-{name}")
    shoot(new_page(**options), "/accounts/signup/", f"signup-{name}")
