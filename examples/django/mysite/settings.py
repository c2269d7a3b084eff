"""An ordinary project: Django's users, Django's login, PostgreSQL.

What belongs to readdress stands at the end, between the two lines.
"""
import os
from datetime import timedelta
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# For this example alone. A real project keeps its keys in its environment.
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "only-for-this-example-0123456789abcdef0123456789")
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "accounts",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "mysite.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth"]},
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("PGDATABASE", "readdress_django"),
        "USER": os.environ.get("PGUSER", "postgres"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "PORT": os.environ.get("PGPORT", "5432"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "settings"
LOGOUT_REDIRECT_URL = "login"

# ---- readdress ---------------------------------------------------------------------------------

# Where the service listens, as this server reaches it.
READDRESS_URL = os.environ.get("READDRESS_URL", "http://127.0.0.1:8080")

# The token that says to readdress who is signed in here. Both sides have the key; it is not
# SECRET_KEY, so that neither can make the other's signatures.
SIMPLE_JWT = {
    "SIGNING_KEY": os.environ.get("READDRESS_HOST_TOKEN_SECRET", "another-key-for-this-example-0123456789abcdef01"),
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=1),
    "ISSUER": "mysite",
    "AUDIENCE": "readdress",
}

# ------------------------------------------------------------------------------------------------
