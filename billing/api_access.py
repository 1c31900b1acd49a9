"""Whether a person's plan lets programs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import ApiKey
from billing.entitlements import entitlement_of

if TYPE_CHECKING:
    from rest_framework.views import APIView


class PlanOffersApi(BasePermission):
    """Keys work while their person's plan has API access; sessions are the web's own pages and always do."""

    code = "plan_without_api"
    message = _("Your plan does not include the API. Choose one that does.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, ApiKey):
            return True
        return entitlement_of(request.auth.user, now=timezone.now()).has_api_access
