"""Prints access tokens made by the libraries of their issuers. Called by make-tokens."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from types import SimpleNamespace

import django
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.conf import settings

NOW = 1_800_000_000
USER = "019b2a00-0000-7000-8000-000000000042"
ISSUER, AUDIENCE = "https://id.example.com", "readdress"
SECRET = "x7Qm2vT9_pLr4Zk8WnB1cYs6-HdJ3fGu0EaRoViKtXwM5N"


def private_pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


keys = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
tokens = []


def add(by, key, token, good, why=None, rules=None):
    """`key` names what verifies it; `rules` what differs from the plain ones (user claim `user_id`)."""
    tokens.append({"by": by, "key": key, "token": token, "good": good, "why": why, "rules": rules or {}})


# djangorestframework-simplejwt
settings.configure(
    SECRET_KEY=SECRET,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
    USE_TZ=True,
)
django.setup()
from rest_framework_simplejwt import tokens as simplejwt  # noqa: E402 (needs the settings)
from rest_framework_simplejwt.backends import TokenBackend  # noqa: E402

by = f"djangorestframework-simplejwt {version('djangorestframework-simplejwt')}"


def simple(kind, user_id=USER, at=NOW, lifetime=timedelta(minutes=5)):
    token = kind.for_user(SimpleNamespace(id=user_id, pk=user_id, is_active=True))
    at = datetime.fromtimestamp(at, timezone.utc)
    token.set_iat(at_time=at)
    token.set_exp(from_time=at, lifetime=lifetime)
    return token


def sealed(token, algorithm, signing_key, verifying_key="", **options):
    return TokenBackend(algorithm, signing_key, verifying_key, **options).encode(token.payload)


access = simple(simplejwt.AccessToken)
add(by, "HS256", str(access), True)
add(by, "HS256", str(simple(simplejwt.AccessToken, user_id=42)), True, rules={"user": "42"})
add(by, "HS256", str(simple(simplejwt.RefreshToken)), False, "token_type")
add(by, "HS256", str(simple(simplejwt.SlidingToken)), False, "token_type")
add(by, "HS256", str(simple(simplejwt.AccessToken, at=NOW - 300)), False, "exp")
add(by, "HS256", str(simple(simplejwt.AccessToken, lifetime=timedelta(days=400))), False, "exp")
add(by, "RS256", sealed(access, "RS256", private_pem(keys["RS256"]), public_pem(keys["RS256"])), True)
add(by, "ES256", sealed(access, "ES256", private_pem(keys["ES256"]), public_pem(keys["ES256"])), True)
meant = sealed(access, "HS256", SECRET, issuer=ISSUER, audience=AUDIENCE)
add(by, "HS256", meant, True, rules={"issuer": ISSUER, "audience": AUDIENCE})
add(by, "HS256", meant, False, "iss", rules={"issuer": "https://other.example.com", "audience": AUDIENCE})
add(by, "HS256", meant, False, "aud", rules={"issuer": ISSUER, "audience": "other"})
add(by, "HS256", meant, False, "aud", rules={"issuer": ISSUER})
add(by, "HS256", meant, True, rules={"audience": "any"})
add(by, "HS256", str(access), False, "exp, iss or aud is missing", rules={"issuer": ISSUER})
add(by, "HS256", str(access), False, "exp, iss or aud is missing", rules={"audience": AUDIENCE})

# PyJWT
by = f"PyJWT {jwt.__version__}"
plain = {"user_id": USER, "exp": NOW + 300}
signing = {**{name: private_pem(key) for name, key in keys.items()}, "HS256": SECRET}
for algorithm, key in signing.items():
    add(by, algorithm, jwt.encode(plain, key, algorithm=algorithm), True)
    add(by, algorithm, jwt.encode(plain | {"exp": NOW}, key, algorithm=algorithm), False, "exp")
for changes, good, why, rules in [
    ({"aud": ["other", AUDIENCE]}, True, None, {"audience": AUDIENCE}),
    ({"aud": ["other"]}, False, "aud", {"audience": AUDIENCE}),
    ({"aud": AUDIENCE}, False, "aud", {}),
    ({"exp": NOW + 0.5}, True, None, {}),
    ({"nbf": NOW + 30, "iat": NOW + 60}, True, None, {}),
    ({"nbf": NOW + 61}, False, "nbf", {}),
    ({"iat": NOW + 61}, False, "iat", {}),
    ({"iat": "yesterday"}, False, "iat", {}),
    ({"user_id": True}, False, "user id", {}),
    ({"user_id": 4.2}, False, "user id", {}),
    ({"user_id": None}, False, "user id", {}),
    ({"user_id": ""}, False, "user id", {}),
    ({"user_id": [USER]}, False, "user id", {}),
    ({"user_id": USER + "\0"}, False, "user id", {}),
    ({"user_id": "x" * 256}, False, "user id", {}),
    ({"token_type": "Bearer"}, True, None, {}),
    ({"token_use": "id"}, False, "token_use", {}),
    ({"scope": "account"}, True, None, {"required": [["scope", "account"]]}),
    ({"scope": "other"}, False, "a required claim", {"required": [["scope", "account"]]}),
    ({"scope": ["account"]}, False, "a required claim", {"required": [["scope", "account"]]}),
    ({}, False, "a required claim", {"required": [["token_type", "access"]]}),
    ({"token_type": "web"}, True, None, {"required": [["token_type", "web"]]}),
]:
    add(by, "HS256", jwt.encode(plain | changes, SECRET, algorithm="HS256"), good, why, rules)
add(by, "HS256", jwt.encode({"user_id": USER}, SECRET), False, "exp, iss or aud is missing")
add(by, "HS256", jwt.encode({"exp": NOW + 300, "sub": USER}, SECRET), False, "user id")
# Of another algorithm, though the key would fit.
add(by, "HS256", jwt.encode(plain, None, algorithm="none"), False, "alg")
add(by, "HS256", jwt.encode(plain, SECRET, algorithm="HS512"), False, "alg")
for algorithm in ("RS512", "PS256"):
    add(by, "RS256", jwt.encode(plain, signing["RS256"], algorithm=algorithm), False, "alg")
add(by, "RS256", jwt.encode(plain, signing["ES256"], algorithm="ES256"), False, "alg")
# By another key of the same algorithm.
other = private_pem(rsa.generate_private_key(65537, 2048))
add(by, "RS256", jwt.encode(plain, other, algorithm="RS256"), False, "signature")
# Headers that change what is signed, or what it is for.
for header, good, why in [
    ({"typ": "at+jwt"}, True, None),
    ({"typ": "application/at+JWT"}, True, None),
    ({"typ": None}, True, None),
    ({"typ": "readdress-access+jwt"}, False, "typ"),
    ({"typ": "readdress-confirm+jwt"}, False, "typ"),
    ({"typ": "logout+jwt"}, False, "typ"),
    ({"crit": ["exp"]}, False, "crit, b64, zip or enc in the header"),
    ({"zip": "DEF"}, False, "crit, b64, zip or enc in the header"),
    ({"jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/cert"}, True, None),
]:
    try:
        token = jwt.encode(plain, SECRET, algorithm="HS256", headers=header)
    except jwt.InvalidTokenError:
        # PyJWT makes no token that it does not understand itself; neither does any other.
        api = jwt.PyJWS()
        api._validate_headers = lambda *_, **__: None
        token = api.encode(json.dumps(plain).encode(), SECRET, algorithm="HS256", headers={"typ": "JWT"} | header)
    add(by, "HS256", token, good, why)

# jose: two generations of keys, and the set that publishes each.
JOSE = """
import { createRequire } from "node:module";
const require = createRequire(process.env.JOSE + "/");
const { SignJWT, exportJWK, generateKeyPair } = await import(require.resolve("jose"));
const { now, user, issuer, audience } = JSON.parse(process.argv[1]);
const made = { sets: [], tokens: [] };
for (const generation of ["2026", "2027"]) {
  const keys = [];
  for (const alg of ["RS256", "ES256", "EdDSA"]) {
    const kid = `${alg}-${generation}`;
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    keys.push({ ...(await exportJWK(publicKey)), kid, alg, use: "sig" });
    for (const [header, name] of [[{ alg, kid, typ: "at+jwt" }, kid], [{ alg }, `${alg}-unnamed-${generation}`]]) {
      const token = await new SignJWT({}).setProtectedHeader(header).setSubject(user).setIssuer(issuer)
        .setAudience(audience).setIssuedAt(now).setExpirationTime(now + 86400).sign(privateKey);
      made.tokens.push({ name, token });
    }
  }
  made.sets.push({ keys });
}
console.log(JSON.stringify(made));
"""
asked = json.dumps({"now": NOW, "user": USER, "issuer": ISSUER, "audience": AUDIENCE})
ran = subprocess.run(
    ["node", "--input-type=module", "-e", JOSE, asked], capture_output=True, check=True, env=os.environ
)
jose = json.loads(ran.stdout)
with open(os.path.join(os.environ["JOSE"], "node_modules/jose/package.json")) as file:
    jose["by"] = f"jose {json.load(file)['version']}"

# Keys that must not be taken.
refused = {
    "RSA 1024": public_pem(rsa.generate_private_key(65537, 1024)),
    "RSA 8192": public_pem(rsa.generate_private_key(65537, 8192)),
    "P-384": public_pem(ec.generate_private_key(ec.SECP384R1())),
    "secp256k1": public_pem(ec.generate_private_key(ec.SECP256K1())),
    "Ed448": public_pem(ed448.Ed448PrivateKey.generate()),
}

json.dump(
    {
        "now": NOW,
        "user": USER,
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "secret": SECRET,
        "public_keys": {name: public_pem(key) for name, key in keys.items()},
        "refused_keys": refused,
        "tokens": tokens,
        "jose": jose,
    },
    sys.stdout,
    indent=1,
)
print()
