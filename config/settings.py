"""Every setting, from the environment, safe by default.

Each address (`DATABASE_URL`, `VALKEY_URL`, `INFERENCE_URL`, `STRIPE_*`, `STORAGE_URL`, `EMAIL_URL`) replaces the part
that `make run` would otherwise start on this machine. docs/operations.md lists them all.
"""

import secrets
from pathlib import Path
from urllib.parse import urlsplit
from wsgiref.headers import Headers

import django_stubs_ext
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _
from servestatic.compress import Compressor

from config import single_sign_on
from config.environment import Environment

django_stubs_ext.monkeypatch()  # lets Django's generic classes take their type at run time: ModelAdmin[User]

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()
VAR_DIR = Path(env.str("PARLEY_VAR", default=str(BASE_DIR / "var")))


def _kept_secret(path: Path) -> str:
    """A random secret that survives restarts: read from `path`, or made there with mode 0600."""
    try:
        return path.read_text()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        secret = secrets.token_urlsafe(48)
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            return path.read_text()
        path.write_text(secret)
        return secret


DEBUG = env.bool("DEBUG", default=False)
SITE_URL = env.str("SITE_URL", default=f"http://127.0.0.1:{env.str('PORT', default='8000')}").rstrip("/")
SITE_NAME = env.str("SITE_NAME", default="Parley")
SECRET_KEY = env.str("SECRET_KEY", default="") or _kept_secret(VAR_DIR / "secret_key")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
_site = urlsplit(SITE_URL)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[_site.hostname or "127.0.0.1", "127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = [SITE_URL]

# Behind https everything is locked to it; on loopback http a Secure cookie would lock people out.
HTTPS = _site.scheme == "https"
SECURE_SSL_REDIRECT = HTTPS
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
# How many of the addresses at the end of X-Forwarded-For our own proxies wrote: else each visitor would look like them.
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXIES", default=1 if BEHIND_PROXY else 0)
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
if HTTPS:  # browsers take a cookie of such a name from this very host alone, and over https
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "config.apps.ConfigConfig",
    "feedback",
    "chat",
    "chat.openai",
    "billing",
    "accounts",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "servestatic",
    "config.apps.DeskConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "config.compression.PageCompressionMiddleware",
    "config.programs.ProgramsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "accounts.middleware.PersonMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.PrivateAnswersMiddleware",
    "accounts.middleware.BackToTheFormMiddleware",
    "accounts.middleware.SessionLimitsMiddleware",
    "accounts.middleware.StaffSecondStepMiddleware",
    "accounts.middleware.PreferencesMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context_processors.site",
            ],
            "builtins": ["config.templatetags.components"],
        },
    }
]

# Storage -------------------------------------------------------------------------------------------------------------

_database = env.database("DATABASE_URL", default="postgresql://parley@127.0.0.1:5432/parley")
DATABASES = {
    "default": {
        **_database,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),  # sslmode and the like, or the folder of a Unix socket as host
            "prepare_threshold": 5 if env.bool("DATABASE_PREPARES", default=True) else None,  # see accounts.prepared
            "pool": {
                "min_size": 2,
                "max_size": env.int("DATABASE_POOL_SIZE", default=20),
                "timeout": env.float(
                    "DATABASE_POOL_SECONDS", default=30
                ),  # what hundreds who come in one moment wait for, rather than be turned away
            },
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

VALKEY_URL = env.str("VALKEY_URL", default="redis://127.0.0.1:6379/0")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": VALKEY_URL}}
STORAGE_URL = env.str("STORAGE_URL", default=(VAR_DIR / "storage").as_uri())

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"


# What `SecurityMiddleware` gives to pages, for what is answered before any middleware (config/asgi.py).
HEADERS_OF_EVERYTHING = {"X-Content-Type-Options": "nosniff"}
if SECURE_HSTS_SECONDS:
    HEADERS_OF_EVERYTHING["Strict-Transport-Security"] = f"max-age={SECURE_HSTS_SECONDS}; includeSubDomains; preload"


def _static_headers(headers: Headers, _path: str, _url: str) -> None:
    for name, value in HEADERS_OF_EVERYTHING.items():
        headers[name] = value


SERVESTATIC_ADD_HEADERS_FUNCTION = _static_headers
SERVESTATIC_KEEP_ONLY_HASHED_FILES = True  # every page names the hashed ones; compressing both takes twice as long
SERVESTATIC_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": VAR_DIR / "media"}},
    "staticfiles": {"BACKEND": "config.static_files.ModuleManifestStorage"},
}

# People --------------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "accounts.passwords.GuessablePasswordValidator"},
]
# What a stranger tries here before anything else: the site's name, its address, and words that its operator adds.
GUESSABLE_WORDS = [SITE_NAME, *(_site.hostname or "").split("."), *env.list("GUESSABLE_WORDS", default=[])]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "chat"
LOGOUT_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _site.scheme
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # for a new address, and for connecting or parting from another site
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False  # the other sessions end; this one stays
# Failed tries to sign in. Of one address; at one account from one address (the key), each window that is full a longer
# wait than the one before; and at one account from all addresses together, late, so that strangers keep nobody out.
ACCOUNT_RATE_LIMITS = {
    "login_failed": "10/m/ip,200/h/ip,5/5m/key,15/h/key,40/d/key",
    "login_failed_anywhere": "60/h/key,200/d/key",
}
ACCOUNT_FORMS = {"login": "accounts.signing_in.SignInForm"}
ACCOUNT_SIGNUP_FORM_CLASS = "accounts.forms.SignupQuestions"
# Who another site vouches for with a verified address gets into the account of that address here, and stays connected.
# An unverified address opens nothing, and the answer does not tell whether there is an account.
SOCIALACCOUNT_PROVIDERS, _sign_in_origins = single_sign_on.providers(env)
SOCIALACCOUNT_ADAPTER = "accounts.adapter.ElsewhereAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_AUTO_SIGNUP = False  # the question of consent is asked of everybody
MFA_ADAPTER = "accounts.adapter.SecondStepAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_FORMS = {"activate_totp": "accounts.second_step.AuthenticatorAppForm"}
MFA_TOTP_ISSUER = SITE_NAME
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
USERSESSIONS_TRACK_ACTIVITY = False  # a write and a commit in every request: a third of the time to the first token
# Whether the rights of staff sleep until they have an authenticator app or a passkey.
STAFF_SECOND_STEP = env.bool("STAFF_SECOND_STEP", default=HTTPS)
SESSION_ENGINE = "accounts.session_store"
# A session ends so long after signing in, whatever happens; sooner when nothing is asked for in it (accounts.sessions).
SESSION_COOKIE_AGE = env.int("SESSION_DAYS", default=14) * 86_400
SESSION_IDLE_HOURS = env.int("SESSION_IDLE_HOURS", default=168)
STAFF_SESSION_IDLE_HOURS = env.int("STAFF_SESSION_IDLE_HOURS", default=12)

# Whether the box at sign-up is ticked before the person has said anything, and which text they agreed to.
TRAINING_CONSENT_DEFAULT = env.bool("TRAINING_CONSENT_DEFAULT", default=False)
# On which share of replies a consenting person is asked to choose between two, and on which plans (none named: all).
COMPARISON_SHARE = env.float("COMPARISON_SHARE", default=0.05)
COMPARISON_PLANS = env.list("COMPARISON_PLANS", default=[])
COMPARISON_MODEL = env.str("COMPARISON_MODEL", default="")
# How many read a rating with much at stake, and which share of the others; one reads the rest. One more breaks a tie.
REVIEW_READERS = env.int("REVIEW_READERS", default=2)
REVIEW_READERS_SHARE = env.float("REVIEW_READERS_SHARE", default=0.2)
REVIEW_RANDOM_SHARE = env.float("REVIEW_RANDOM_SHARE", default=0.1)  # of what a reader is given, drawn at random
REVIEW_GOLD_SHARE = env.float("REVIEW_GOLD_SHARE", default=0.05)  # and items whose right verdict is known
REVIEW_REPEAT_SHARE = env.float("REVIEW_REPEAT_SHARE", default=0.02)  # of what a reader decided, to be decided again
CONSENT_POLICY_VERSION = "2026-11-29"

# Mail: printed in the log and kept under var/mail unless EMAIL_URL names a server.
if env.str("EMAIL_URL", default=""):
    _email = env.mail_server("EMAIL_URL")
    EMAIL_BACKEND = _email.pop("EMAIL_BACKEND")
    globals().update(_email)
else:
    EMAIL_BACKEND = "config.mail.LogAndFileBackend"
    EMAIL_FILE_PATH = VAR_DIR / "mail"
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"Parley <parley@{_site.hostname}>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
FORMAT_MODULE_PATH = "config.formats"
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

# What pages may do: nothing inline, nothing from elsewhere. ----------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [
            SELF,
            *env.list("CSP_FORM_ACTION", default=["https://checkout.stripe.com", "https://billing.stripe.com"]),
            *_sign_in_origins,
        ],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

# Work ----------------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = VALKEY_URL
CELERY_TASK_IGNORE_RESULT = True
# Results are never kept. Unshared, Celery would make this empty backend anew in each request's thread, and search all
# installed packages for it: 8 ms between Enter and the model.
CELERY_RESULT_BACKEND_THREAD_SAFE = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_SERIALIZER = "json"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_keepalive": True}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    "sweep-replies": {"task": "chat.tasks.sweep", "schedule": 2.0, "options": {"expires": 10}},
    "sweep-conversations": {"task": "chat.tasks.sweep_conversations", "schedule": 300.0, "options": {"expires": 200}},
    "sweep-completions": {"task": "chat.openai.tasks.sweep", "schedule": 60.0, "options": {"expires": 50}},
    "sweep-documents": {"task": "chat.tasks.sweep_documents", "schedule": 60.0, "options": {"expires": 50}},
    "tidy-accounts": {"task": "accounts.tasks.tidy", "schedule": 600.0, "options": {"expires": 500}},
    "deliver-webhooks": {"task": "accounts.tasks.deliver_due_webhooks", "schedule": 5.0, "options": {"expires": 5}},
    "sweep-releases": {"task": "feedback.tasks.sweep_releases", "schedule": 5.0, "options": {"expires": 20}},
    "note-ignored-questions": {"task": "feedback.tasks.note_ignored_questions", "schedule": crontab(minute=29)},
    "settle-ratings": {"task": "feedback.tasks.settle_ratings", "schedule": crontab(minute=43)},
    "process-stripe-events": {"task": "billing.tasks.process_events", "schedule": 5.0, "options": {"expires": 20}},
    "run-stripe-commands": {"task": "billing.tasks.run_commands", "schedule": 30.0, "options": {"expires": 60}},
    "release-abandoned": {"task": "billing.tasks.release_abandoned", "schedule": 30.0, "options": {"expires": 60}},
    "backfill-stripe-events": {"task": "billing.tasks.backfill_events", "schedule": crontab(minute=17)},
    "reconcile-billing": {"task": "billing.tasks.reconcile", "schedule": crontab(hour=3, minute=40)},
}

# The model service ---------------------------------------------------------------------------------------------------

INFERENCE_URL = env.str("INFERENCE_URL", default="http://127.0.0.1:8001").rstrip("/")
INFERENCE_API_KEY = env.str("INFERENCE_API_KEY", default="")
CHAT_MODEL = env.str("CHAT_MODEL", default="smollm2-135m-instruct")
# A model that costs less to run, by which people may go on when a window's messages are used up; none by default.
CHAT_SMALLER_MODEL = env.str("CHAT_SMALLER_MODEL", default="")
CHAT_CONTEXT_TOKENS = env.int("CHAT_CONTEXT_TOKENS", default=8192)
CHAT_SYSTEM_PROMPT = env.str(
    "CHAT_SYSTEM_PROMPT",
    default="You are a helpful assistant. Answer in the language of the question, plainly and truthfully.",
)
CHAT_SAMPLING = {"temperature": 0.7, "top_p": 0.95, "repetition_penalty": 1.05}
# How likely the model must find it that a request is unclear before it asks (0 to 1), where a person wants to be asked.
ASK_FIRST_THRESHOLD = env.float("ASK_FIRST_THRESHOLD", default=0.55)
TEMPORARY_CHAT_HOURS = env.int("TEMPORARY_CHAT_HOURS", default=24)
DELETED_CHAT_DAYS = env.int("DELETED_CHAT_DAYS", default=30)
# The model that finds passages of documents by meaning, and how many documents of which size a person keeps.
EMBEDDING_MODEL = env.str("EMBEDDING_MODEL", default="all-minilm-l6-v2")
DOCUMENT_MEGABYTES = env.int("DOCUMENT_MEGABYTES", default=10)
DOCUMENTS_A_CONVERSATION = env.int("DOCUMENTS_A_CONVERSATION", default=10)
DOCUMENTS_KEPT = env.int("DOCUMENTS_KEPT", default=500)
DOCUMENTS_KEPT_FREE = env.int("DOCUMENTS_KEPT_FREE", default=50)
REPLY_LEASE_SECONDS = env.int("REPLY_LEASE_SECONDS", default=10)

# Outgoing webhooks: networks that they may reach besides the open internet, by http too. -----------------------------

WEBHOOK_NETWORKS = env.list("WEBHOOK_NETWORKS", default=[])

# Data sets -----------------------------------------------------------------------------------------------------------

# A worker that dies leaves its step to others after so long; and how many work on one release at a time.
RELEASE_LEASE_SECONDS = env.int("RELEASE_LEASE_SECONDS", default=30)
RELEASE_WORKERS = env.int("RELEASE_WORKERS", default=2)

# Money ---------------------------------------------------------------------------------------------------------------

STRIPE_API_KEY = env.str("STRIPE_API_KEY", default="")
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", default="")
if STRIPE_API_BASE:
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"].append(STRIPE_API_BASE)

# The API ------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "accounts.authentication.KeyHasScope",
        "billing.api_access.PlanOffersApi",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.api_parsing.WellFormedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.CursorPagination",
    "PAGE_SIZE": 50,
    "EXCEPTION_HANDLER": "config.api_errors.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Parley",
    "DESCRIPTION": "Conversations, replies, ratings and preference data.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "config.api_schema.completed"],
    "SCHEMA_PATH_PREFIX": "/api/",
    "ENUM_NAME_OVERRIDES": {
        "ReplyState": "chat.models.Reply.State",
        "ReleaseState": "feedback.models.Release.State",
        "DeliveryState": "accounts.models.WebhookDelivery.State",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.log_level("LOG_LEVEL", default="INFO")},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},
        # The sweeper runs every two seconds: a line for each task would hide everything else.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
    },
}
