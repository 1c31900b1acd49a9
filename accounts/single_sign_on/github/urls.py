from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import path

from accounts.single_sign_on.github.provider import HubAdapter


def _view(kind: type[OAuth2LoginView | OAuth2CallbackView], request: HttpRequest) -> HttpResponseBase:
    try:
        answer: HttpResponseBase = kind.adapter_view(HubAdapter)(request)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    return answer


def login(request: HttpRequest) -> HttpResponseBase:
    return _view(OAuth2LoginView, request)


def callback(request: HttpRequest) -> HttpResponseBase:
    return _view(OAuth2CallbackView, request)


urlpatterns = [
    path("github/login/", login, name="github_login"),
    path("github/login/callback/", callback, name="github_callback"),
]
