from django.urls import path

from accounts.views import keys, leaving, preferences, sessions, webhooks

urlpatterns = [
    path("settings/", preferences.settings_page, name="settings"),
    path("settings/consent", preferences.change_consent, name="change_consent"),
    path("settings/letters", preferences.choose_letters, name="choose_letters"),
    path("settings/security", preferences.security_page, name="security"),
    path("settings/language", preferences.choose_language, name="choose_language"),
    path("settings/theme", preferences.choose_theme, name="choose_theme"),
    path("settings/keys", keys.keys_page, name="keys"),
    path("settings/keys/new", keys.new_key, name="key-new"),
    path("settings/keys/<uuid:key_id>/replace", keys.replace_key, name="key-replace"),
    path("settings/keys/<uuid:key_id>/revoke", keys.revoke_key, name="key-revoke"),
    path("settings/webhooks", webhooks.webhooks_page, name="webhooks"),
    path("settings/webhooks/new", webhooks.new_webhook, name="webhook-new"),
    path("settings/webhooks/<uuid:endpoint_id>", webhooks.one_webhook, name="webhook"),
    path("settings/webhooks/<uuid:endpoint_id>/secret", webhooks.rotate_secret, name="webhook-secret"),
    path("settings/webhooks/<uuid:endpoint_id>/test", webhooks.test_webhook, name="webhook-test"),
    path("settings/webhooks/<uuid:endpoint_id>/remove", webhooks.remove_webhook, name="webhook-remove"),
    path("settings/deliveries/<uuid:delivery_id>/resend", webhooks.send_again, name="webhook-resend"),
    # In the places of django-allauth's own, which come after these.
    path("accounts/sessions/", sessions.sessions_page, name="sessions"),
    path("accounts/logout/", sessions.SignOut.as_view(), name="account_logout"),
    path("settings/sessions/others/end", sessions.end_other_sessions, name="sessions-end-others"),
    path("settings/sessions/<int:session_id>/end", sessions.end_session, name="session-end"),
    path("settings/activity", leaving.activity_page, name="activity"),
    path("settings/data", leaving.your_data, name="your_data"),
    path("settings/data/copy", leaving.ask_for_copy, name="data-copy-ask"),
    path("settings/data/copy/<str:token>", leaving.download_copy, name="data-copy"),
    path("settings/data/delete", leaving.ask_for_deletion, name="deletion-ask"),
    path("settings/data/keep", leaving.call_deletion_off, name="deletion-off"),
]
