from django.urls import path

from accounts.views import keys, preferences

urlpatterns = [
    path("settings/", preferences.settings_page, name="settings"),
    path("settings/consent", preferences.change_consent, name="change_consent"),
    path("settings/security", preferences.security_page, name="security"),
    path("settings/language", preferences.choose_language, name="choose_language"),
    path("settings/theme", preferences.choose_theme, name="choose_theme"),
    path("settings/keys", keys.keys_page, name="keys"),
    path("settings/keys/new", keys.new_key, name="key-new"),
    path("settings/keys/<uuid:key_id>/replace", keys.replace_key, name="key-replace"),
    path("settings/keys/<uuid:key_id>/revoke", keys.revoke_key, name="key-revoke"),
]
