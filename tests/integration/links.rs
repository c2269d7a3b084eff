//! Links: what they say, and everything that only looks like one. How they end is in `rotation`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha384;

use crate::support::app::{APP_URL, PASSWORD, START};
use crate::support::forge::{self, Parts};
use crate::support::{Answer, Options, Person, TestApp, story};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Every place that takes a token; each but `inspect` takes one kind.
pub const DOORS: [&str; 6] = ["confirm", "activate", "cancel", "undo", "me", "inspect"];

/// How long a token for that door may live, in seconds.
pub const LIFETIMES: [(&str, i64); 5] = [
    ("confirm", 3_600),
    ("activate", 24 * 3_600),
    ("cancel", 25 * 3_600),
    ("undo", 25 * 3_600 + 7 * 24 * 3_600),
    ("me", 15 * 60),
];

/// Ann with one usable token of every kind at once, named by the door it opens, and everything as
/// it was then.
pub struct Stage<'a> {
    app: &'a TestApp,
    pub ann: Person,
    pub tokens: [(&'static str, String); 5],
    state: String,
    mails: usize,
}

impl<'a> Stage<'a> {
    pub async fn set(app: &'a TestApp) -> Self {
        let ann = app.person("ann@example.com").await;
        let undo = app.change(&ann, "ann@new.example").await;
        let activate = app.activate_link(&ann, "ann@third.example").await;
        let (confirm, cancel) = app.links_of_request(&ann).await;
        let tokens = [
            ("confirm", confirm),
            ("activate", activate),
            ("cancel", cancel),
            ("undo", undo.expect("an undo link")),
            ("me", ann.access.clone()),
        ];
        let stage = Self {
            app,
            ann,
            tokens,
            state: app.state().await,
            mails: app.mails().len(),
        };
        stage.is_untouched().await;
        stage
    }

    pub fn token(&self, door: &str) -> &str {
        let found = self.tokens.iter().find(|(kind, _)| *kind == door);
        &found.expect("a token for that door").1
    }

    /// The token as it is after an edit, signed as only we can.
    fn edited(&self, door: &str, edit: impl FnOnce(&mut Parts)) -> String {
        let mut parts = forge::open(self.token(door));
        edit(&mut parts);
        parts.sign(&self.secret(door))
    }

    fn secret(&self, door: &str) -> Vec<u8> {
        match door {
            "me" => self.app.ring().signing().access_secret().to_vec(),
            _ => self.app.signing_secret(),
        }
    }

    /// Refused where it belongs, and by `inspect`.
    async fn refuses(&self, door: &str, token: &str, why: &str) {
        is_refused(self.app, &self.app.url, door, token, why).await;
        if door != "me" {
            is_refused(self.app, &self.app.url, "inspect", token, why).await;
        }
    }

    /// Nothing was written or mailed, and every token is still good.
    pub async fn is_untouched(&self) {
        assert_eq!(self.app.state().await, self.state);
        for (door, token) in &self.tokens {
            is_good(self.app, door, token).await;
        }
        assert_eq!(self.app.mails().len(), self.mails);
    }
}

/// Shows a token at a door of that process, with everything else as it must be.
pub async fn knock(app: &TestApp, url: &str, door: &str, token: &str) -> Answer {
    if door == "me" {
        let request = app.http.get(format!("{url}/v1/me"));
        let request = request.header("Authorization", format!("Bearer {token}"));
        return app.receive(request, "GET", "/v1/me").await;
    }
    let mut body = json!({ "token": token });
    if ["confirm", "undo"].contains(&door) {
        body["password"] = PASSWORD.into();
    }
    if door == "confirm" {
        body["new_email"] = "somebody@third.example".into();
    }
    let path = format!("/v1/email-change/{door}");
    let request = app.http.post(format!("{url}{path}"));
    let request = request.header("Content-Type", "application/json");
    app.receive(request.body(body.to_string()), "POST", &path)
        .await
}

pub async fn is_refused(app: &TestApp, url: &str, door: &str, token: &str, why: &str) {
    let (status, code) = match door {
        "me" => (401, "unauthenticated"),
        _ => (400, "invalid_link"),
    };
    let answer = knock(app, url, door, token).await;
    let said = (answer.status.as_u16(), answer.json["code"].as_str());
    assert_eq!(said, (status, Some(code)), "{why}, at {door}: {token}");
    answer.problem(status, code);
}

async fn is_good(app: &TestApp, door: &str, token: &str) {
    if door == "me" {
        app.me(token).await.ok(200);
    } else {
        let inspected = app.inspect(token).await;
        assert_eq!(inspected.ok(200)["kind"], door);
        assert_eq!(inspected.json["state"], "usable", "{door}");
    }
}

/// Ours, but it does not hold any more; nothing happens.
pub async fn is_used(app: &TestApp, door: &str, token: &str) {
    let before = (app.state().await, app.mails().len());
    let answer = knock(app, &app.url, door, token).await;
    answer.problem(410, "link_used");
    assert_eq!(app.state_of(token).await, "used", "{door}");
    assert_eq!((app.state().await, app.mails().len()), before);
}

fn set(object: &mut Value, name: &str, value: Option<Value>) {
    let object = object.as_object_mut().expect("an object");
    match value {
        Some(value) => object.insert(name.to_owned(), value),
        None => object.remove(name),
    };
}

// Kinds.

story! {
    async fn a_token_of_one_kind_is_refused_at_every_other_door(app) {
        let stage = Stage::set(app).await;
        for (kind, token) in &stage.tokens {
            for door in DOORS.into_iter().filter(|door| door != kind) {
                if door != "inspect" || *kind == "me" {
                    is_refused(app, &app.url, door, token, kind).await;
                }
            }
            if *kind != "me" {
                app.request(token, PASSWORD).await.problem(401, "unauthenticated");
            }
        }
        stage.is_untouched().await;

        // A wrong mail would have arrived by now: these are the only ones.
        let before = app.mails().len();
        assert_eq!(app.activate(stage.token("activate")).await.ok(200)["status"], "activated");
        assert_eq!(app.undo(stage.token("undo"), PASSWORD).await.ok(200)["status"], "undone");
        app.mails_after(before + 3).await;
    }
}

story! {
    async fn a_fingerprint_of_one_kind_is_none_of_another(app) {
        let stage = Stage::set(app).await;
        let as_kind = |from: &str, to: &str| stage.edited(from, |parts| {
            parts.header["typ"] = format!("readdress-{to}+jwt").into();
            parts.claims["exp"] = (START + 3_600).into();
        });
        is_used(app, "cancel", &as_kind("confirm", "cancel")).await;
        is_used(app, "confirm", &as_kind("cancel", "confirm")).await;
        stage.is_untouched().await;
    }
}

// Claims.

story! {
    async fn every_claim_must_be_there_and_of_its_type(app) {
        let stage = Stage::set(app).await;
        for (door, token) in &stage.tokens {
            for (claim, value) in forge::open(token).claims.as_object().expect("claims") {
                for wrong in wrong_values(claim, value) {
                    let why = format!("{claim} = {wrong:?}");
                    let token = stage.edited(door, |parts| set(&mut parts.claims, claim, wrong));
                    stage.refuses(door, &token, &why).await;
                }
            }
        }
        for wrong in ["", "x", "ann@", "ann@new.example,bob@example.com"] {
            let token = stage.edited("activate", |parts| parts.claims["new_email"] = wrong.into());
            is_refused(app, &app.url, "activate", &token, wrong).await;
        }
        stage.is_untouched().await;
    }
}

fn wrong_values(claim: &str, value: &Value) -> Vec<Option<Value>> {
    let mut wrong = vec![
        json!(null),
        json!(true),
        json!([value]),
        json!({ claim: value }),
        json!(1.5),
        json!(u64::MAX),
        json!(1e300),
    ];
    if let Some(text) = value.as_str() {
        wrong.extend([json!(0), json!(1), json!(-1)]);
        // Another fingerprint is well-typed and of another row; addresses are tried apart.
        if !["fp", "new_email"].contains(&claim) {
            wrong.extend([json!(""), json!("x"), json!(format!("{text} "))]);
        }
    } else {
        wrong.extend([json!(value.to_string()), json!(value.as_f64())]);
        if claim != "opened_at" {
            wrong.extend([json!(-1), json!(0), json!(i64::MIN), json!(i64::MAX)]);
        }
    }
    std::iter::once(None)
        .chain(wrong.into_iter().map(Some))
        .collect()
}

story! {
    async fn issuer_audience_and_subject_must_be_ours(app) {
        let stage = Stage::set(app).await;
        let unknown = uuid::Uuid::now_v7().to_string();
        for (door, _) in &stage.tokens {
            for (claim, value) in [
                ("iss", json!("https://evil.example")),
                ("iss", json!(format!("{APP_URL}/"))),
                ("iss", json!([APP_URL])),
                ("aud", json!("https://evil.example")),
                ("aud", json!([APP_URL])),
                ("aud", json!([APP_URL, "https://evil.example"])),
                ("sub", json!(unknown)),
                ("sub", json!(uuid::Uuid::nil().to_string())),
                ("sub", json!("ann@new.example")),
                ("sub", json!("' OR '1'='1")),
                ("sub", json!("0")),
            ] {
                let token = stage.edited(door, |parts| parts.claims[claim] = value.clone());
                stage.refuses(door, &token, &format!("{claim} = {value}")).await;
            }
        }
        stage.is_untouched().await;
    }
}

story! {
    async fn a_link_of_one_user_is_nothing_for_another(app) {
        let bob = app.person("bob@example.com").await;
        let bobs = app.change(&bob, "bob@new.example").await.expect("an undo link");
        let stage = Stage::set(app).await;
        let for_bob = |door| stage.edited(door, |parts| parts.claims["sub"] = bob.id.clone().into());
        for door in ["confirm", "activate", "cancel"] {
            is_used(app, door, &for_bob(door)).await;
        }
        stage.refuses("undo", &for_bob("undo"), "sealed for ann").await;
        let sealed = forge::open(&bobs).claims["sealed"].clone();
        let token = stage.edited("undo", |parts| parts.claims["sealed"] = sealed);
        stage.refuses("undo", &token, "sealed for bob").await;
        stage.is_untouched().await;

        // Somebody whose row is the same but for the id.
        let id = uuid::Uuid::now_v7();
        app.database.execute(&format!("UPDATE users SET id = '{id}' WHERE id = '{}'", stage.ann.id)).await;
        for door in ["confirm", "activate", "cancel"] {
            let token = stage.edited(door, |parts| parts.claims["sub"] = id.to_string().into());
            is_used(app, door, &token).await;
        }
    }
}

story! {
    async fn a_token_lives_no_longer_than_its_kind_and_is_hardly_from_the_future(app) {
        let stage = Stage::set(app).await;
        for (door, lifetime) in LIFETIMES {
            let lasting = |from: i64, seconds: i64| stage.edited(door, |parts| {
                parts.claims["iat"] = from.into();
                parts.claims["exp"] = (from + seconds).into();
            });
            is_good(app, door, &lasting(START, lifetime)).await;
            is_good(app, door, &lasting(START + 60, lifetime)).await;
            is_good(app, door, &lasting(START - 60, lifetime)).await;
            for (from, seconds) in [
                (START, lifetime + 1), (START - 60, lifetime + 1), (START, -1), (START + 61, lifetime), (START + 61, 1),
            ] {
                stage.refuses(door, &lasting(from, seconds), &format!("from {from} for {seconds} s")).await;
            }
        }
        stage.is_untouched().await;
    }
}

story! {
    async fn claims_are_one_object_that_says_everything_once(app) {
        let stage = Stage::set(app).await;
        for (door, token) in &stage.tokens {
            let Parts { header, claims } = forge::open(token);
            let (secret, header, whole) = (stage.secret(door), header.to_string(), claims.to_string());
            is_good(app, door, &forge::sign(&header, &whole, &secret)).await;
            let open = whole.strip_suffix('}').expect("an object");
            let mut wrong: Vec<String> = claims.as_object().expect("claims").iter()
                .map(|(claim, value)| format!("{open},\"{claim}\":{value}}}"))
                .collect();
            wrong.extend(["", "{}", "[]", "null", "\"x\"", "0", "{", "x"].map(str::to_owned));
            wrong.extend([format!("{whole}{whole}"), format!("{whole}x"), format!("[{whole}]"), open.to_owned()]);
            wrong.extend(["1e400", "99999999999999999999", "18e8", "0x10"].map(|exp| {
                whole.replace(&format!("\"exp\":{}", claims["exp"]), &format!("\"exp\":{exp}"))
            }));
            for claims in wrong {
                stage.refuses(door, &forge::sign(&header, &claims, &secret), &claims).await;
            }
        }
        stage.is_untouched().await;
    }
}

// Headers and signatures.

story! {
    async fn a_header_is_exactly_one_that_we_write(app) {
        let stage = Stage::set(app).await;
        for (door, token) in &stage.tokens {
            let header = forge::open(token).header;
            for (name, value) in wrong_headers(&header) {
                let why = format!("{name} = {value:?}");
                let token = stage.edited(door, |parts| set(&mut parts.header, &name, value));
                stage.refuses(door, &token, &why).await;
            }
            for (other, _) in LIFETIMES.iter().filter(|(other, _)| other != door) {
                let typ = forge::open(stage.token(other)).header["typ"].clone();
                let token = stage.edited(door, |parts| parts.header["typ"] = typ);
                is_refused(app, &app.url, door, &token, "another kind's typ").await;
            }
            let (header, claims) = (header.to_string(), forge::open(token).claims.to_string());
            let open = header.strip_suffix('}').expect("an object");
            for extra in ["\"alg\":\"HS256\"", "\"alg\":\"none\"", "\"kid\":\"x\"", "\"typ\":\"JWT\""] {
                let twice = format!("{open},{extra}}}");
                stage.refuses(door, &forge::sign(&twice, &claims, &stage.secret(door)), &twice).await;
            }
            for header in ["", "{}", "[]", "null", "\"HS256\"", open] {
                stage.refuses(door, &forge::sign(header, &claims, &stage.secret(door)), header).await;
            }
        }
        stage.is_untouched().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_field_that_is_null_is_there_all_the_same() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let stage = Stage::set(&app).await;
    for name in ["crit", "jku", "jwk", "x5u", "x5c", "zip", "cty"] {
        let null = Some(Value::Null);
        let token = stage.edited("cancel", |parts| set(&mut parts.header, name, null));
        stage.refuses("cancel", &token, name).await;
    }
    stage.is_untouched().await;
    app.close().await;
}

fn wrong_headers(header: &Value) -> Vec<(String, Option<Value>)> {
    let (typ, kid) = (header["typ"].as_str(), header["kid"].as_str());
    let (typ, kid) = (typ.expect("a typ"), kid.expect("a kid"));
    let algorithms = "none None hs256 HS384 HS512 RS256 ES256";
    let wrong = json!({
        "alg": algorithms.split(' ').collect::<Vec<_>>(),
        "ALG": ["HS256"],
        "typ": ["", "JWT", "jwt", typ.trim_end_matches("+jwt"), typ.to_uppercase(), null, 1],
        "kid": ["", "unknown", "../k", kid.to_uppercase(), format!("{kid} "), [kid], null, 1],
        "crit": [["exp"], ["b64"], ["readdress"], [], ""],
        "jku": ["https://evil.example/jwks.json"],
        "jwk": [{ "kty": "oct", "alg": "HS256", "k": "AAAA" }],
        "x5u": ["https://evil.example/cert.pem"],
        "x5c": [["AAAA"], []],
        "x5t": ["AAAA"],
        "x5t#S256": ["AAAA"],
        "zip": ["DEF"],
        "enc": ["A128GCM"],
        "cty": ["JWT"],
        "url": [APP_URL],
        "nonce": ["AAAA"],
        "b64": [true, false],
        "readdress": ["x", null, {}],
    });
    let values = |values: &Value| values.as_array().expect("a list").clone();
    let changed = wrong.as_object().expect("an object").iter();
    let changed = changed.flat_map(|(name, wrong)| {
        values(wrong)
            .into_iter()
            .map(|value| (name.clone(), Some(value)))
    });
    let removed = ["alg", "typ", "kid"].map(|name| (name.to_owned(), None));
    removed.into_iter().chain(changed).collect()
}

story! {
    async fn no_secret_but_the_right_one_signs(app) {
        let stage = Stage::set(app).await;
        let ring = app.ring();
        let (signing, access) = (ring.signing().signing_secret(), ring.signing().access_secret());
        let (kid, key) = app.options.keys.split_once(':').expect("a kid");
        let key = URL_SAFE_NO_PAD.decode(key).expect("base64url");
        for (door, token) in &stage.tokens {
            let parts = forge::open(token);
            let other = if *door == "me" { signing } else { access };
            for (secret, why) in [
                (other, "the secret of the other purpose"),
                (&key[..], "the key itself"),
                (kid.as_bytes(), "the kid"),
                (&[0; 32][..], "zeros"),
                (&b""[..], "no secret"),
            ] {
                stage.refuses(door, &parts.sign(secret), why).await;
            }
            let mut sha384 = parts.clone();
            sha384.header["alg"] = "HS384".into();
            stage.refuses(door, &sign_with_sha384(&sha384, &stage.secret(door)), "a good HS384").await;
            stage.refuses(door, &sign_with_sha384(&parts, &stage.secret(door)), "HS384 said to be HS256").await;
            for alg in ["none", "None", "NONE"] {
                let none = stage.edited(door, |parts| set(&mut parts.header, "alg", Some(alg.into())));
                let (unsigned, _) = none.rsplit_once('.').expect("a signature");
                for token in [unsigned, &format!("{unsigned}."), &format!("{unsigned}.AA")] {
                    stage.refuses(door, token, alg).await;
                }
            }
        }
        stage.is_untouched().await;
    }
}

fn sign_with_sha384(parts: &Parts, secret: &[u8]) -> String {
    let [header, claims] =
        [&parts.header, &parts.claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let mut mac = Hmac::<Sha384>::new_from_slice(secret).expect("a key");
    mac.update(format!("{header}.{claims}").as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{header}.{claims}.{signature}")
}

// Text.

story! {
    async fn no_character_of_a_link_can_be_changed(app) {
        let stage = Stage::set(app).await;
        for (door, token) in &stage.tokens[..4] {
            for place in (0..token.len()).step_by(7) {
                for character in ["A", "z"].into_iter().filter(|other| token[place..=place] != **other) {
                    let mut edited = token.clone();
                    edited.replace_range(place..=place, character);
                    is_refused(app, &app.url, door, &edited, "an edit").await;
                }
            }
            for twin in twins(token) {
                stage.refuses(door, &twin, "the same bytes, written otherwise").await;
            }
        }
        for twin in twins(stage.token("me")) {
            stage.refuses("me", &twin, "the same bytes, written otherwise").await;
        }
        stage.is_untouched().await;
    }
}

/// The token with the unused bits of its last character set: the same signature to a lenient
/// decoder.
fn twins(token: &str) -> [String; 3] {
    let (start, last) = token.split_at(token.len() - 1);
    let index = ALPHABET.iter().position(|byte| *byte == last.as_bytes()[0]);
    let index = index.expect("base64url");
    assert_eq!(index % 4, 0, "two unused bits");
    [1, 2, 3].map(|bits| format!("{start}{}", char::from(ALPHABET[index + bits])))
}

story! {
    async fn a_link_is_taken_byte_for_byte(app) {
        let stage = Stage::set(app).await;
        for (door, token) in &stage.tokens[..4] {
            let parts: Vec<&str> = token.split('.').collect();
            let [header, claims, signature] = parts[..] else { panic!("three segments") };
            for around in [" ", "\n", "\r\n", "\t", "=", "==", ".", "\u{feff}", "\u{a0}", "\"", "?", "&x=y"] {
                stage.refuses(door, &format!("{token}{around}"), "something after it").await;
                stage.refuses(door, &format!("{around}{token}"), "something before it").await;
            }
            for wrong in [
                String::new(), ".".into(), "..".into(), "...".into(), "null".into(), "a.b.c".into(), "😀.😀.😀".into(),
                header.into(), format!("{header}.{claims}"), format!("{header}.{claims}."),
                format!("{header}..{signature}"), format!(".{claims}.{signature}"),
                format!("{token}.{signature}"), format!("{header}.{token}"), format!("{claims}.{header}.{signature}"),
                format!("{header}=.{claims}.{signature}"), format!("{header}.{claims}=.{signature}"),
                format!("{header} .{claims}.{signature}"), format!("{header}.\n{claims}.{signature}"),
                format!("Bearer {token}"), format!("{token}{token}"),
                token.replace('.', "%2E"), token.to_uppercase(), token.to_lowercase(),
                "a".repeat(10_000), ".".repeat(10_000), format!("{token:A<10000}"), format!("{token:A>10000}"),
            ] {
                stage.refuses(door, &wrong, "another text").await;
            }
        }
        stage.is_untouched().await;
    }
}

// What a link gives away.

story! {
    async fn links_tell_no_hash_and_no_address_that_their_reader_does_not_know(app) {
        let stage = Stage::set(app).await;
        let hash = app.database.text("SELECT password_hash FROM users").await.expect("a hash");
        let shown = ["aud", "exp", "iat", "iss", "sub"];
        for (door, own, address) in [
            ("confirm", &["fp"][..], None),
            ("activate", &["fp", "new_email", "opened_at"], Some("ann@third.example")),
            ("cancel", &["fp"], None),
            ("undo", &["sealed"], None),
            ("me", &[], None),
        ] {
            let Parts { header, claims } = forge::open(stage.token(door));
            let mut expected = [own, &shown].concat();
            expected.sort_unstable();
            assert_eq!(names(&claims), expected, "{door}");
            assert_eq!(names(&header), ["alg", "kid", "typ"], "{door}");
            let written = format!("{header}{claims}").replace(address.unwrap_or("no address"), "");
            assert!(!written.contains('@'), "{door} tells an address: {written}");
            let bound = claims[own.first().unwrap_or(&"")].as_str().unwrap_or_default();
            let bound = URL_SAFE_NO_PAD.decode(bound).expect("base64url");
            let told = format!("{written}{}", String::from_utf8_lossy(&bound));
            for secret in hash.split('$').filter(|part| part.len() > 16).chain(["argon2", "ann@", "password"]) {
                assert!(!told.contains(secret), "{door} tells {secret}");
            }
        }
    }
}

fn names(object: &Value) -> Vec<&str> {
    let fields = object.as_object().expect("an object");
    let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
