"""How the product addresses a person and looks to them; what they let it be used for; every way in, in one list."""

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import check_for_language, override
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django.views.i18n import set_language

from accounts import consent
from accounts.forms import ConsentForm, LettersForm, PreferencesForm
from accounts.models import ConsentEvent, User

YEAR = 31_536_000


@login_required
def settings_page(request: HttpRequest) -> HttpResponse:
    """Name, language, time zone, theme; and whether training may use what the person writes."""
    user = cast(User, request.user)
    form = PreferencesForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        form.save()
        response = redirect("settings")
        _remember_theme(response, user.theme)
        with override(user.language or None):
            messages.success(request, _("Your settings are saved."))
        return response
    consent_form = ConsentForm(initial={"training_consent": consent.consent_in_force(user, scope="account")})
    said = ConsentEvent.objects.filter(user=user).order_by("-created_at", "-id")[:20]
    context = {
        "form": form,
        "letters_form": LettersForm.of(user),
        "consent_form": consent_form,
        "consent_events": said,
    }
    return render(request, "accounts/settings.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def change_consent(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    form = ConsentForm(request.POST)
    if form.is_valid():
        consent.say(user, is_granted=form.cleaned_data["training_consent"], now=timezone.now())
        messages.success(request, _("Your choice is saved."))
    return redirect("settings")


@login_required
@require_POST
def choose_letters(request: HttpRequest) -> HttpResponse:
    """Which e-mails the person wants of those that may be refused."""
    form = LettersForm(request.POST)
    if form.is_valid():
        User.objects.filter(pk=cast(User, request.user).pk).update(refused_letters=form.refused)
        messages.success(request, _("Your choice is saved."))
    return redirect("settings")


@login_required
@require_safe
def security_page(request: HttpRequest) -> HttpResponse:
    """Every way into the account, in one list."""
    return render(request, "accounts/security.html")


@require_POST
def choose_language(request: HttpRequest) -> HttpResponseBase:
    """The language switch: a cookie for anybody, and the account's own choice for somebody signed in."""
    language = request.POST.get("language", "")
    if isinstance(request.user, User) and check_for_language(language):
        User.objects.filter(pk=request.user.pk).update(language=language)
    return set_language(request)


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """The theme switch; a page's module asks for no answer, a form is sent back to where it was."""
    theme = request.POST.get("theme", "")
    if theme not in User.Theme.values:
        return HttpResponse(_("Choose system, light or dark."), status=400, content_type="text/plain; charset=utf-8")
    if isinstance(request.user, User):
        User.objects.filter(pk=request.user.pk).update(theme=theme)
    response = HttpResponse(status=204) if "json" in request.headers.get("Accept", "") else redirect(_way_back(request))
    _remember_theme(response, theme)
    return response


def _remember_theme(response: HttpResponse, theme: str) -> None:
    response.set_cookie("theme", theme, max_age=YEAR, samesite="Lax", secure=settings.HTTPS)


def _way_back(request: HttpRequest) -> str:
    address = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if is_ours else "/"
