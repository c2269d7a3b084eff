"""Prints password hashes made by their original software. Called by make-passwords."""

import base64
import hashlib
import json
import subprocess
import sys
from importlib.metadata import version

import argon2
import bcrypt
import django
import passlib
from argon2.low_level import Type, hash_secret
from django.conf import settings
from passlib import hash as passlib_hash

settings.configure()
from django.contrib.auth import hashers  # noqa: E402 (needs the settings)

PLAIN = "correct horse battery staple"
UNICODE = "Zażółć gęślą jaźń 🔑 пароль"
LONG = "0123456789" * 10
# The 72nd byte is the first half of an "é".
STRADDLING = "x" * 71 + "é and more"
NUL = "before\0after"
EMPTY = ""

vectors = []


def add(by, password, stored, also_right=(), pepper=None):
    vector = {"by": by, "password": password, "stored": stored}
    if also_right:
        vector["also_right"] = list(also_right)
    if pepper:
        vector["pepper"] = pepper
    vectors.append(vector)


def cut(password):
    """Other passwords that bcrypt cannot tell from this one."""
    if password == LONG:
        return [LONG[:72], LONG + "!"]
    if password == STRADDLING:
        return ["x" * 71 + "é but different"]
    return []


# Django, as its hashers are configured by default and with less work.
by = f"Django {django.__version__}"
SALT = "AbCdEfGhIjKlMnOpQrStUv"
add(by, PLAIN, hashers.PBKDF2PasswordHasher().encode(PLAIN, SALT))
add(by, PLAIN, hashers.PBKDF2SHA1PasswordHasher().encode(PLAIN, SALT, 2000))
add(by, PLAIN, hashers.Argon2PasswordHasher().encode(PLAIN, SALT))
add(by, PLAIN, hashers.ScryptPasswordHasher().encode(PLAIN, SALT))
add(by, PLAIN, hashers.BCryptSHA256PasswordHasher().encode(PLAIN, b"$2b$12$LmNoPqRsTuVwXyZ012345u"))
for password in (UNICODE, LONG, STRADDLING, NUL, EMPTY):
    add(by, password, hashers.PBKDF2PasswordHasher().encode(password, SALT, 1000))
    add(by, password, hashers.PBKDF2SHA1PasswordHasher().encode(password, SALT, 1000))
    add(by, password, hashers.ScryptPasswordHasher().encode(password, SALT, n=1024))
    bcrypt_salt = b"$2b$04$LmNoPqRsTuVwXyZ012345u"
    add(by, password, hashers.BCryptSHA256PasswordHasher().encode(password, bcrypt_salt))
    if password != NUL:
        add(by, password, hashers.BCryptPasswordHasher().encode(password, bcrypt_salt), cut(password))


class CheapArgon2(hashers.Argon2PasswordHasher):
    time_cost, memory_cost, parallelism = 1, 256, 2


for password in (UNICODE, LONG, STRADDLING, NUL, EMPTY):
    add(by, password, CheapArgon2().encode(password, SALT))

# argon2-cffi: all three types, the version before 1.3 too, and its own defaults.
by = f"argon2-cffi {version('argon2-cffi')}"
add(by, PLAIN, argon2.PasswordHasher().hash(PLAIN, salt=b"sixteen bytes ok"))
for kind in (Type.ID, Type.I, Type.D):
    for password in (UNICODE, LONG, NUL, EMPTY):
        for number in (0x10, 0x13):
            made = hash_secret(password.encode(), b"sixteen bytes ok", 2, 512, 4, 32, kind, number)
            add(by, password, made.decode())

# Python's bcrypt, whose strings are those of all others.
by = f"bcrypt {bcrypt.__version__} (Python)"
for prefix in (b"$2a$", b"$2b$"):
    for password in (PLAIN, UNICODE, LONG, STRADDLING, EMPTY):
        salt = prefix + b"05$LmNoPqRsTuVwXyZ012345u"
        add(by, password, bcrypt.hashpw(password.encode(), salt).decode(), cut(password))

# Passlib, whose PBKDF2 strings pbkdf2_elixir writes too.
by = f"Passlib {passlib.__version__}"
for password in (PLAIN, UNICODE, LONG, EMPTY):
    for scheme in ("pbkdf2_sha1", "pbkdf2_sha256", "pbkdf2_sha512"):
        handler = getattr(passlib_hash, scheme).using(rounds=1000, salt=b"\xfb\xff\xbe sixteen byte")
        add(by, password, handler.hash(password))
    add(by, password, passlib_hash.scrypt.using(rounds=10, salt=b"sixteen bytes ok").hash(password))

# hashlib, written as PHC strings (salt and output in unpadded base64).
by = f"hashlib (Python {sys.version.split()[0]}), as PHC string"


def b64(data):
    return base64.b64encode(data).decode().rstrip("=")


for password in (PLAIN, UNICODE, NUL, EMPTY):
    salt = b"sixteen bytes ok"
    for digest in ("sha256", "sha512"):
        out = hashlib.pbkdf2_hmac(digest, password.encode(), salt, 4000, 32)
        add(by, password, f"$pbkdf2-{digest}$i=4000,l=32${b64(salt)}${b64(out)}")
        add(by, password, f"$pbkdf2-{digest}$i=4000${b64(salt)}${b64(out)}")
    out = hashlib.scrypt(password.encode(), salt=salt, n=2**12, r=8, p=3, dklen=32)
    add(by, password, f"$scrypt$ln=12,r=8,p=3${b64(salt)}${b64(out)}")

# PHP: what Laravel's Hash calls.
PHP = r"""
$made = [];
foreach (json_decode(stream_get_contents(STDIN)) as $password) {
    $made[] = [$password, password_hash($password, PASSWORD_BCRYPT, ['cost' => 5])];
    foreach (['PASSWORD_ARGON2I', 'PASSWORD_ARGON2ID'] as $name) {
        $cheap = ['memory_cost' => 1024, 'time_cost' => 2, 'threads' => 1];
        $made[] = [$password, password_hash($password, constant($name), $cheap)];
    }
}
$made[] = ['correct horse battery staple', password_hash('correct horse battery staple', PASSWORD_DEFAULT, ['cost' => 12])];
$made[] = ['correct horse battery staple', password_hash('correct horse battery staple', PASSWORD_ARGON2ID)];
echo json_encode(['version' => PHP_VERSION, 'made' => $made]);
"""
passwords = [PLAIN, UNICODE, LONG, STRADDLING, EMPTY]
ran = subprocess.run(["php", "-r", PHP], input=json.dumps(passwords).encode(), capture_output=True, check=True)
php = json.loads(ran.stdout)
for password, stored in php["made"]:
    add(f"PHP {php['version']} password_hash", password, stored, cut(password) if stored.startswith("$2y$") else ())

# Devise, with a pepper and without.
RUBY = r"""
require "json"
require "active_support"
require "active_support/core_ext/object/blank"
require "devise/version"
require "devise/encryptor"
model = Struct.new(:pepper, :stretches)
asked = JSON.parse($stdin.read)
made = asked["passwords"].flat_map do |password|
  [nil, asked["pepper"]].map do |pepper|
    [password, pepper, Devise::Encryptor.digest(model.new(pepper, 5), password)]
  end
end
puts JSON.generate("version" => Devise::VERSION, "bcrypt" => Gem.loaded_specs["bcrypt"].version.to_s, "made" => made)
"""
PEPPER = "9f1c0f8b7d5a4e3c2b1a" * 4
ran = subprocess.run(
    ["ruby", "-e", RUBY],
    input=json.dumps({"passwords": passwords, "pepper": PEPPER}).encode(),
    capture_output=True,
    check=True,
)
ruby = json.loads(ran.stdout)
by = f"Devise {ruby['version']} (bcrypt gem {ruby['bcrypt']})"
for password, pepper, stored in ruby["made"]:
    add(by, password, stored, cut(password), pepper)

# Node: the two packages that nearly everybody uses there.
NODE = r"""
const argon2 = require('argon2'), bcrypt = require('bcrypt');
const version = (name) => require(`${name}/package.json`).version;
const made = [];
(async () => {
  for (const password of JSON.parse(require('fs').readFileSync(0))) {
    const cheap = { memoryCost: 1024, timeCost: 2, parallelism: 1 };
    for (const type of [argon2.argon2id, argon2.argon2i, argon2.argon2d])
      made.push([`argon2 ${version('argon2')} (npm)`, password, await argon2.hash(password, { ...cheap, type })]);
    made.push([`bcrypt ${version('bcrypt')} (npm)`, password, await bcrypt.hash(password, 5)]);
  }
  const plain = 'correct horse battery staple';
  made.push([`argon2 ${version('argon2')} (npm)`, plain, await argon2.hash(plain)]);
  console.log(JSON.stringify(made));
})();
"""
ran = subprocess.run(["node", "-e", NODE], input=json.dumps(passwords).encode(), capture_output=True, check=True)
for by, password, stored in json.loads(ran.stdout):
    add(by, password, stored, cut(password) if stored.startswith("$2b$") else ())

json.dump(vectors, sys.stdout, ensure_ascii=False, indent=1)
print()
