"""What became of one's words in data sets: the list for the person, and a receipt for whoever holds its address."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.signing import Signer
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from feedback.models import Erasure

SHOWN = 50


@login_required
@require_GET
def erasures(request: HttpRequest) -> HttpResponse:
    mine = Erasure.objects.filter(user=request.user.pk)[:SHOWN]
    return render(request, "feedback/erasures.html", {"erasures": mine})


@require_GET
def receipt(_request: HttpRequest, erasure_id: uuid.UUID) -> HttpResponse:
    """Signed, and without a word about who asked: people who have left can still read it."""
    erasure = get_object_or_404(Erasure, pk=erasure_id)
    content: dict[str, Any] = {
        "receipt": str(erasure.pk),
        "reason": erasure.reason,
        "asked_at": erasure.asked_at.isoformat(),
        "finished_at": erasure.finished_at.isoformat() if erasure.finished_at else None,
        "rows": erasure.n_rows,
        "releases": erasure.effects,
        "models_to_retrain": erasure.models_to_retrain,
    }
    signed = {**content, "signature": Signer(salt="erasure-receipt").sign_object(content)}
    return JsonResponse(signed, headers={"Cache-Control": "private, no-store"})
