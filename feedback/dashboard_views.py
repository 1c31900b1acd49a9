"""The dashboard of the loop, and each of its tables as CSV."""

from __future__ import annotations

import csv

from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from chat.views.requests import person
from feedback.dashboard import PERIODS, table, tables

# A spreadsheet takes a cell that begins so for a formula.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


@login_required
@permission_required("feedback.review", raise_exception=True)
@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    days = _days(request)
    periods = [
        {
            "label": ngettext("%(n)s day", "%(n)s days", period) % {"n": period},
            "url": f"{reverse('dashboard')}?days={period}",
            "current": period == days,
        }
        for period in PERIODS
    ]
    context = {
        "tables": tables(days=days, now=timezone.now(), viewer=person(request)),
        "periods": periods,
        "days": days,
    }
    return render(request, "feedback/dashboard.html", context)


@login_required
@permission_required("feedback.review", raise_exception=True)
@require_GET
def table_as_csv(request: HttpRequest, key: str) -> HttpResponse:
    """One table for a spreadsheet, in UTF-8 with a byte order mark, which Excel wants."""
    found = table(key, days=_days(request), now=timezone.now(), viewer=person(request))
    if found is None:
        raise Http404
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="parley-{key}.csv"'
    response.write("\ufeff")
    writer = csv.writer(response)
    writer.writerow(found.head)
    writer.writerows([_plain(cell) for cell in row] for row in found.rows)
    return response


def _plain(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_SIGNS) else cell


def _days(request: HttpRequest) -> int:
    given = request.GET.get("days", "")
    return int(given) if given.isdecimal() and int(given) in PERIODS else PERIODS[1]
