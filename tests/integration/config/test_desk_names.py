"""The admin site in Chinese: no name of a thing or of one of its fields is left in English."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, label_for_field
from django.db.models import Model
from django.test import RequestFactory
from django.utils import translation

from accounts.models import User

SPOKEN = re.compile(r"[\u4e00-\u9fff]")


def names(page: admin.ModelAdmin) -> Iterator[str]:
    request = RequestFactory().get("/")
    request.user = User(is_active=True, is_staff=True, is_superuser=True)
    yield str(page.opts.verbose_name_plural)
    filters = [each[0] if isinstance(each, tuple) else each for each in page.get_list_filter(request)]
    plain = [each.split("__")[0] for each in filters if isinstance(each, str)]
    shown = [*page.get_list_display(request), *plain, *flatten_fieldsets(page.get_fieldsets(request))]
    yield from labels([name for name in shown if isinstance(name, str)], page.model, page)
    for rows in page.get_inline_instances(request):
        yield str(rows.verbose_name_plural)
        yield from labels(rows.get_fields(request), rows.model, rows)


def labels(fields: Iterable[str], model: type[Model], page: Any) -> Iterator[str]:
    for name in fields:
        with suppress(AttributeError):  # a field of the form alone, which says itself what it is called
            yield str(label_for_field(name, model, page))


@pytest.mark.django_db
def test_everything_on_the_admin_site_is_named_in_chinese() -> None:
    ours = [page for model, page in admin.site._registry.items() if not model.__module__.startswith("django.")]
    with translation.override("zh-hans"):
        english = {f"{page.opts.label}: {name}" for page in ours for name in names(page) if not SPOKEN.search(name)}
    assert len(ours) > 15
    assert english == set()
