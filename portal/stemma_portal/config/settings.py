"""Settings of the portal.  What differs between installations comes from `stemma.config`."""

import secrets
from pathlib import Path

from csp.constants import NONE, SELF

from stemma.config import settings as installation_settings
from stemma_portal.config.database import database

INSTALLATION = installation_settings()
PACKAGE = Path(__file__).resolve().parents[1]
HTTPS = INSTALLATION.portal_url.startswith("https://")

DEBUG = INSTALLATION.debug
# Without a secret of its own a process can still migrate or collect files; sessions end with it.
SECRET_KEY = INSTALLATION.secret_key.get_secret_value() or secrets.token_urlsafe(48)
ALLOWED_HOSTS = [host.strip() for host in INSTALLATION.allowed_hosts.split(",") if host.strip()]

ROOT_URLCONF = "stemma_portal.config.urls"
WSGI_APPLICATION = "stemma_portal.config.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.socialaccount.providers.saml",
    "allauth.usersessions",
    "csp",
    "ninja",
    "django.forms",
    "stemma_portal.design",
    "stemma_portal.core",
    "stemma_portal.accounts",
    "stemma_portal.notices",
    "stemma_portal.webhooks",
    "stemma_portal.catalog",
    "stemma_portal.consent",
    "stemma_portal.intake",
    "stemma_portal.audio",
    "stemma_portal.licensing",
    "stemma_portal.metering",
    "stemma_portal.billing",
    "stemma_portal.operations",
    "stemma_portal.royalties",
    "stemma_portal.indemnity",
    "stemma_portal.certificates",
    "stemma_portal.dashboards",
    "stemma_portal.api",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "stemma_portal.core.middleware.PermissionsPolicyMiddleware",
    "stemma_portal.core.whence.WhenceMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "stemma_portal.core.middleware.UnavailableMiddleware",
    "stemma_portal.api.idempotency.IdempotencyMiddleware",
    "stemma_portal.design.errors.StemmaErrorMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "stemma_portal.dashboards.context.shell",
            ],
        },
    }
]

# --- Data -----------------------------------------------------------------------------------------

DATABASES = {"default": database(INSTALLATION.database_url.get_secret_value(), pool_size=16)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": INSTALLATION.redis_url.get_secret_value(),
        "KEY_PREFIX": "portal",
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 5},
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
"""Bytes of a request body; 500 recordings with waveforms are about 2 MB."""

# --- Accounts -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "stemma_portal.accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_FORMS = {"signup": "stemma_portal.accounts.forms.SignupForm"}
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
# A code rather than a link: mail programs that open links prove nothing, and people stay where they are.
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS  # browsers allow passkeys at http://localhost alone
MFA_TOTP_ISSUER = "Stemma"
USERSESSIONS_ADAPTER = "stemma_portal.accounts.traces.UserSessionsAdapter"
# Sign-on by an organisation's own provider: the apps are rows of `SignOn`.
SOCIALACCOUNT_ADAPTER = "stemma_portal.accounts.adapter.SocialAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"  # proved domains vouch for their addresses
SOCIALACCOUNT_EMAIL_REQUIRED = True
SOCIALACCOUNT_STORE_TOKENS = False
USERSESSIONS_TRACK_ACTIVITY = True

# --- Mail -----------------------------------------------------------------------------------------

EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
DEFAULT_FROM_EMAIL = SERVER_EMAIL = INSTALLATION.mail_from
EMAIL_TIMEOUT = 15
if (MAIL := INSTALLATION.mail_server) is not None:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST, EMAIL_PORT = MAIL.host, MAIL.port
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL.user, MAIL.password
    EMAIL_USE_SSL, EMAIL_USE_TLS = MAIL.way == "smtps", MAIL.way == "smtp+starttls"

# --- Security -------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "font-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF, INSTALLATION.s3_endpoint],
        "media-src": [SELF, INSTALLATION.s3_endpoint],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
CSRF_TRUSTED_ORIGINS = [INSTALLATION.portal_url]
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SAMESITE = SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(health|live|ready)z$"]  # probes speak to the pod, not to the ingress
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Files ----------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = INSTALLATION.home / "static"
STATICFILES_DIRS = [PACKAGE / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "stemma_portal.design.fonts.FontFinder",
]
WHITENOISE_USE_FINDERS = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},  # nothing is kept beside S3
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Background work ------------------------------------------------------------------------------

CELERY_BROKER_URL = INSTALLATION.redis_url.get_secret_value()
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Redis hands a message out again after the visibility timeout: tasks must end before it.
# A broker that is away must not keep a request waiting: without `max_retries` each message tries for six seconds.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_connect_timeout": 2,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2}
CELERY_TASK_TIME_LIMIT = 1800
CELERY_TASK_SOFT_TIME_LIMIT = 1740
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "stemma_portal.config.clock:Clock"
CELERY_BEAT_SCHEDULE_FILENAME = str(INSTALLATION.home / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "facts": {"task": "stemma_portal.metering.tasks.facts_ingest", "schedule": 3.0, "options": {"expires": 3}},
    "late": {
        "task": "stemma_portal.metering.tasks.facts_ingest_recent",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "estimates": {
        "task": "stemma_portal.royalties.tasks.estimates_refresh",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "shares": {"task": "stemma_portal.catalog.tasks.shares_due", "schedule": 300.0, "options": {"expires": 300}},
    "equal": {
        "task": "stemma_portal.catalog.tasks.likeness_equal",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "likeness": {
        "task": "stemma_portal.catalog.tasks.likeness_sweep",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "search": {
        "task": "stemma_portal.catalog.tasks.search_refresh",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "snapshots": {
        "task": "stemma_portal.operations.tasks.snapshot_receipts_heal",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "webhooks": {
        "task": "stemma_portal.webhooks.tasks.deliveries_due",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "notices": {"task": "stemma_portal.notices.tasks.mails_due", "schedule": 30.0, "options": {"expires": 30}},
    "imports": {"task": "stemma_portal.intake.tasks.imports_heal", "schedule": 60.0, "options": {"expires": 60}},
    "uploads": {"task": "stemma_portal.audio.tasks.uploads_heal", "schedule": 300.0, "options": {"expires": 300}},
    "batches": {"task": "stemma_portal.audio.tasks.batches_take", "schedule": 15.0, "options": {"expires": 15}},
    "sounds": {"task": "stemma_portal.audio.tasks.uploads_match", "schedule": 15.0, "options": {"expires": 15}},
    "answers": {"task": "stemma_portal.api.tasks.answers_forget", "schedule": 3600.0, "options": {"expires": 3600}},
    # Each once: what was invoiced or told is known by its key.
    "invoices": {
        "task": "stemma_portal.billing.tasks.usage_invoices_due",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "spending": {
        "task": "stemma_portal.billing.tasks.spending_watch",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "books": {"task": "stemma_portal.billing.tasks.books_keep", "schedule": 60.0, "options": {"expires": 60}},
    "declarations": {
        "task": "stemma_portal.billing.tasks.declarations_remind",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "deadlines": {
        "task": "stemma_portal.billing.tasks.deadlines_keep",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "holds": {"task": "stemma_portal.royalties.tasks.holds_settle", "schedule": 60.0, "options": {"expires": 60}},
    "cases": {"task": "stemma_portal.consent.tasks.deadlines_keep", "schedule": 3600.0, "options": {"expires": 3600}},
    "claims": {
        "task": "stemma_portal.indemnity.tasks.deadlines_keep",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "dossiers": {"task": "stemma_portal.indemnity.tasks.claims_heal", "schedule": 60.0, "options": {"expires": 60}},
    "prints": {"task": "stemma_portal.indemnity.tasks.prints_take", "schedule": 60.0, "options": {"expires": 60}},
    # Each domain once a week; this finds those whose week is over.
    "reservations": {
        "task": "stemma_portal.consent.tasks.domains_due",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    # Each change publishes at once; these heal what a broken moment has missed.
    "rights": {
        "task": "stemma_portal.consent.tasks.rights_status_publish",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "prompting": {
        "task": "stemma_portal.licensing.tasks.prompting_publish",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "revocations": {
        "task": "stemma_portal.licensing.tasks.revocations_publish",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
}

# --- Language, time, logs -------------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django.server": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "httpx": {"level": "WARNING"},  # one line for each request it makes
    },
}
