from django.urls import path

from accounts import views

urlpatterns = [
    path("settings/", views.settings_page, name="settings"),
    path("settings/consent", views.change_consent, name="change_consent"),
    path("settings/security", views.security_page, name="security"),
    path("settings/language", views.choose_language, name="choose_language"),
    path("settings/theme", views.choose_theme, name="choose_theme"),
]
