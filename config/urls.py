"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config.api_errors import nothing_here

PLAIN = "text/plain; charset=utf-8"
urlpatterns = [
    path("", include("chat.urls")),
    path("", include("accounts.urls")),
    path("billing/", include("billing.urls")),
    path("feedback/", include("feedback.urls")),
    path("accounts/", include("allauth.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    path("api/", include("config.api_urls")),
    path("v1/", include("feedback.v1_urls")),
    path("v1/", include("chat.openai.urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("robots.txt", TemplateView.as_view(template_name="robots.txt", content_type=PLAIN)),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    re_path("^api/", nothing_here),
]
handler400 = "config.errors.bad_request"
