//! Makes tokens that must not be accepted: by structure, not by chance, so that each is wrong in a
//! way that some implementation of JWT once let pass.
//!
//! Four families: *signed* by our own keys and wrong all the same; right but wrongly *sealed*;
//! edited *text*; genuine, but shown at another *door*. What only a holder of our keys could make,
//! and what is then right (another `new_email` in an activate link, say), is none of them.

#![expect(
    clippy::cast_precision_loss,
    reason = "an integer claim written as a float is what is wanted; its last digits are not"
)]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use fastrand::Rng;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::{Sha384, Sha512};

use crate::support::app::START;
use crate::support::forge::{self, Parts};

/// A token of ours, and the secret that signs its kind.
pub struct Genuine {
    pub door: &'static str,
    pub token: String,
    pub secret: Vec<u8>,
    /// The longest that one of its kind may live, in seconds.
    pub lifetime: i64,
}

/// What the forger knows: everything but how to make a right one that we have not made.
pub struct Knowledge {
    pub genuine: Vec<Genuine>,
    /// Somebody else's tokens, by the door they open.
    pub strangers: Vec<(&'static str, String)>,
    pub stranger_id: String,
    /// Another key of the ring: its kid, and the secrets for links and for access.
    pub other_key: (String, Vec<u8>, Vec<u8>),
    /// A key that was retired: the same.
    pub retired_key: (String, Vec<u8>, Vec<u8>),
    /// Secrets that sign nothing.
    pub wrong_secrets: Vec<Vec<u8>>,
}

pub struct Forgery {
    pub door: &'static str,
    pub token: String,
    /// Whether it is signed with a secret of the ring that signs its kind.
    pub signed: bool,
    pub how: String,
}

pub struct Forger {
    pub rng: Rng,
    known: Knowledge,
}

const DOORS: [&str; 6] = ["confirm", "activate", "cancel", "undo", "me", "inspect"];

impl Forger {
    pub fn new(rng: Rng, known: Knowledge) -> Self {
        Self { rng, known }
    }

    pub fn next(&mut self) -> Forgery {
        let mut forgery = match self.rng.u32(0..10) {
            0..5 => self.signed(),
            5..7 => self.missealed(),
            7..9 => self.edited(),
            _ => self.at_another_door(),
        };
        if forgery.door != "me" && self.rng.u32(0..4) == 0 && !forgery.how.starts_with("door") {
            forgery.door = "inspect";
        }
        if forgery.door == "me"
            && !forgery
                .token
                .bytes()
                .all(|byte| (0x21..0x7f).contains(&byte))
        {
            // No header can carry it.
            forgery.door = "inspect";
        }
        forgery
    }

    fn pick(&mut self) -> usize {
        self.rng.usize(0..self.known.genuine.len())
    }

    // Signed with our own keys.

    fn signed(&mut self) -> Forgery {
        let at = self.pick();
        let door = self.known.genuine[at].door;
        let mut parts = forge::open(&self.known.genuine[at].token);
        let mut how = vec![self.harmless(&mut parts)];
        let mut secret = self.known.genuine[at].secret.clone();
        let (right, right_secret) = (parts.clone(), secret.clone());
        let (mut wrongs, mut rebound) = (self.rng.usize(1..=3), false);
        // A claim that is put in and taken out again leaves nothing wrong.
        while wrongs > 0 || (parts == right && secret == right_secret) {
            wrongs = wrongs.saturating_sub(1);
            how.push(match self.rng.u32(0..8) {
                0 | 1 => self.wrong_header(&mut parts),
                2 => self.wrong_times(&mut parts, at),
                3 => self.wrong_type(&mut parts),
                4 => self.wrong_text(&mut parts),
                // Once: a stranger's fingerprint with the stranger's id is the stranger's own link.
                5 if !std::mem::replace(&mut rebound, true) => self.wrong_binding(&mut parts, door),
                6 => self.another_key(&mut parts, &mut secret, door),
                _ => self.removed(&mut parts),
            });
        }
        let (header, claims) = (parts.header.to_string(), parts.claims.to_string());
        let (header, claims) = match self.rng.u32(0..6) {
            0 => (self.twice(&header, &mut how), claims),
            1 => (header, self.twice(&claims, &mut how)),
            2 => (header, self.no_object(&claims, &mut how)),
            _ => (header, claims),
        };
        Forgery {
            door,
            token: forge::sign(&header, &claims, &secret),
            signed: secret == right_secret || secret == self.other_secret(door),
            how: how.join(", "),
        }
    }

    /// What another key of the ring signs that kind with.
    fn other_secret(&self, door: &str) -> &[u8] {
        let (_, links, access) = &self.known.other_key;
        if door == "me" { access } else { links }
    }

    /// Something that we never write and nobody minds.
    fn harmless(&mut self, parts: &mut Parts) -> String {
        let claims = parts.claims.as_object_mut().expect("claims");
        match self.rng.u32(0..4) {
            0 => {
                let mut all: Vec<(String, Value)> = std::mem::take(claims).into_iter().collect();
                self.rng.shuffle(&mut all);
                claims.extend(all);
                "reordered".to_owned()
            }
            1 => {
                claims.insert("nbf".to_owned(), START.into());
                claims.insert("admin".to_owned(), true.into());
                "more claims".to_owned()
            }
            _ => "plain".to_owned(),
        }
    }

    fn wrong_header(&mut self, parts: &mut Parts) -> String {
        let name = self.one(&[
            "alg", "typ", "kid", "crit", "jku", "jwk", "x5u", "x5c", "zip", "enc", "cty", "b64",
            "nonce", "ALG",
        ]);
        let value = match (name, self.rng.u32(0..4)) {
            ("alg", 0) => json!(self.one(&[
                "none", "None", "hs256", "HS384", "HS512", "RS256", "ES256", "EdDSA", "dir", ""
            ])),
            ("typ", 0) => json!(self.one(&[
                "JWT",
                "at+jwt",
                "readdress+jwt",
                "READDRESS-CONFIRM+JWT",
                "application/readdress-undo+jwt",
                ""
            ])),
            ("kid", 0) => {
                json!(self.one(&["", "0", "../../dev/null", "' OR 1=1 --", "k\u{0}", "ключ"]))
            }
            ("crit", 0) => json!([self.one(&["exp", "b64", "kid"])]),
            ("jwk", 0) => json!({ "kty": "oct", "k": "AAAA", "alg": "HS256" }),
            ("jku" | "x5u", 0) => json!("https://evil.example/keys"),
            ("zip", 0) => json!("DEF"),
            ("alg" | "typ" | "kid", 1) => {
                parts.header.as_object_mut().expect("a header").remove(name);
                return format!("no {name}");
            }
            _ => self.odd_value(&parts.header[name].clone()),
        };
        let how = format!("{name}={value}");
        parts.header[name] = value;
        how
    }

    fn wrong_times(&mut self, parts: &mut Parts, at: usize) -> String {
        let lifetime = self.known.genuine[at].lifetime;
        let far = self.rng.i64(1..=1_000_000_000);
        let (iat, exp) = self.one(&[
            (START - 60, START - 1),
            (START - 60, START),
            (START - lifetime, START),
            (START - far, START),
            (START, START),
            (START, START - far),
            (START, START + lifetime + far),
            (START + 61, START + 61 + lifetime.min(60)),
            (START + 60 + far, START + 60 + far + 1),
            (i64::MIN, START + 60),
            (START, i64::MAX),
            (i64::MAX, i64::MAX),
            (i64::MIN, i64::MAX),
            (0, 0),
            (-far, START + 60),
        ]);
        parts.claims["iat"] = iat.into();
        parts.claims["exp"] = exp.into();
        format!("iat={iat} exp={exp}")
    }

    /// A claim of another type.
    fn wrong_type(&mut self, parts: &mut Parts) -> String {
        let names = names(&parts.claims, |name| !["nbf", "admin"].contains(&name));
        let Some(name) = self.one_of(&names) else {
            return "no claims".to_owned();
        };
        let value = loop {
            let value = self.odd_value(&parts.claims[&name]);
            let same_type = match name.as_str() {
                "iat" | "exp" | "opened_at" => value.as_i64().is_some(),
                _ => value.is_string(),
            };
            if !same_type {
                break value;
            }
        };
        let how = format!("{name}={value}");
        parts.claims[&name] = value;
        how
    }

    fn odd_value(&mut self, old: &Value) -> Value {
        let text = old.as_str().map_or_else(|| old.to_string(), str::to_owned);
        match self.rng.u32(0..14) {
            0 => Value::Null,
            1 => true.into(),
            2 => json!([]),
            3 => json!({}),
            4 => json!([old]),
            5 => json!({ "0": old }),
            6 => json!(1.5),
            7 => old
                .as_i64()
                .map_or_else(|| json!(0.5), |number| json!(number as f64)),
            8 => json!(u64::MAX),
            9 => json!(1e300),
            10 => json!([old, old]),
            11 => json!(format!("{text} ")),
            12 => json!(format!("{text}\u{0}")),
            _ => json!(format!("\u{feff}{text}")),
        }
    }

    /// A claim of the right type that says something else.
    fn wrong_text(&mut self, parts: &mut Parts) -> String {
        let unknown = uuid::Uuid::now_v7().to_string();
        let (name, value) = match self.rng.u32(0..3) {
            0 => (
                "iss",
                self.one(&[
                    "",
                    "null",
                    "https://evil.example",
                    "https://app.example.com/",
                    "HTTPS://APP.EXAMPLE.COM",
                    "https://app.example.com.evil.example",
                ]),
            ),
            1 => (
                "aud",
                self.one(&[
                    "",
                    "*",
                    "https://evil.example",
                    "https://app.example.com/",
                    "http://app.example.com",
                    "app.example.com",
                ]),
            ),
            _ => (
                "sub",
                self.one(&[
                    "",
                    "0",
                    "1",
                    "null",
                    "' OR '1'='1",
                    "../users",
                    "ann@example.com",
                    "00000000-0000-0000-0000-000000000000",
                    unknown.as_str(),
                ]),
            ),
        };
        parts.claims[name] = value.into();
        format!("{name}={value:?}")
    }

    /// What binds a link to its row, made for something else. An access token is bound to nothing,
    /// so there it is the subject that goes.
    fn wrong_binding(&mut self, parts: &mut Parts, door: &str) -> String {
        let (name, stranger) = match door {
            "me" => {
                parts.claims["sub"] = "somebody".into();
                return "sub of nobody".to_owned();
            }
            "undo" => ("sealed", "sealed"),
            _ => ("fp", "fp"),
        };
        let theirs = self
            .known
            .strangers
            .iter()
            .find(|(other, _)| *other == door)
            .map(|(_, token)| forge::open(token));
        let theirs = theirs
            .map(|theirs| theirs.claims[stranger].clone())
            .unwrap_or_default();
        // Of whatever kind: an earlier wrong may have taken it away.
        let own = parts.claims[name].as_str().unwrap_or_default().to_owned();
        let bytes = URL_SAFE_NO_PAD.decode(&own).unwrap_or_default();
        let (how, value) = match self.rng.u32(0..9) {
            0 => ("theirs", theirs),
            1 => ("empty", json!("")),
            2 => (
                "shorter",
                json!(own.get(..own.len().saturating_sub(4)).unwrap_or_default()),
            ),
            3 => ("longer", json!(format!("{own}AAAA"))),
            4 => ("padded", json!(format!("{own}="))),
            5 if !bytes.is_empty() => {
                let mut bytes = bytes;
                let at = self.rng.usize(0..bytes.len());
                bytes[at] ^= 1 << self.rng.u32(0..8);
                ("a bit", json!(URL_SAFE_NO_PAD.encode(bytes)))
            }
            6 => ("zeros", json!(URL_SAFE_NO_PAD.encode([0; 32]))),
            7 => (
                "random",
                json!(
                    URL_SAFE_NO_PAD.encode(std::array::from_fn::<u8, 32, _>(|_| self.rng.u8(..)))
                ),
            ),
            _ => {
                parts.claims["sub"] = self.known.stranger_id.clone().into();
                return format!("{name} for another sub");
            }
        };
        parts.claims[name] = value;
        format!("{name} {how}")
    }

    /// Signed well, with a key that did not make what is inside, or is not in the ring any more. An
    /// access token is as good from any key of the ring.
    fn another_key(&mut self, parts: &mut Parts, secret: &mut Vec<u8>, door: &str) -> String {
        let retired = door == "me" || self.rng.bool();
        let (kid, links, access) = if retired {
            &self.known.retired_key
        } else {
            &self.known.other_key
        };
        parts.header["kid"] = kid.clone().into();
        secret.clone_from(if door == "me" { access } else { links });
        if retired { "retired key" } else { "rekeyed" }.to_owned()
    }

    fn removed(&mut self, parts: &mut Parts) -> String {
        let names = names(&parts.claims, |name| !["nbf", "admin"].contains(&name));
        let Some(name) = self.one_of(&names) else {
            return "no claims".to_owned();
        };
        parts.claims.as_object_mut().expect("claims").remove(&name);
        format!("no {name}")
    }

    /// One member of the object a second time.
    fn twice(&mut self, object: &str, how: &mut Vec<String>) -> String {
        let value: Value = serde_json::from_str(object).expect("JSON");
        let names = names(&value, |_| true);
        let Some(name) = self.one_of(&names) else {
            return object.to_owned();
        };
        let again = if self.rng.bool() {
            value[&name].clone()
        } else {
            self.odd_value(&value[&name])
        };
        how.push(format!("{name} twice"));
        format!("{},{}:{again}}}", object.trim_end_matches('}'), json!(name))
    }

    fn no_object(&mut self, claims: &str, how: &mut Vec<String>) -> String {
        let wrong = match self.rng.u32(0..9) {
            0 => format!("[{claims}]"),
            1 => format!("{claims}{claims}"),
            2 => claims.trim_end_matches('}').to_owned(),
            3 => String::new(),
            4 => "null".to_owned(),
            5 => json!(claims).to_string(),
            6 => format!("{claims}\u{0}"),
            7 => format!("\u{feff}{claims}"),
            _ => claims.replace(':', "="),
        };
        how.push("no object".to_owned());
        wrong
    }

    // Right, but the seal is not.

    fn missealed(&mut self) -> Forgery {
        let at = self.pick();
        let genuine = &self.known.genuine[at];
        let (door, token) = (genuine.door, genuine.token.clone());
        let (secret, mut parts) = (genuine.secret.clone(), forge::open(&token));
        let (input, signature) = token.rsplit_once('.').expect("a signature");
        let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let (how, token) = match self.rng.u32(0..11) {
            0 => {
                let at = self.rng.usize(0..self.known.wrong_secrets.len());
                ("a wrong secret", parts.sign(&self.known.wrong_secrets[at]))
            }
            1 => {
                let mut guess = secret;
                let at = self.rng.usize(0..guess.len());
                guess[at] ^= 1 << self.rng.u32(0..8);
                ("a secret that is nearly right", parts.sign(&guess))
            }
            2 => {
                parts.header["alg"] = "HS384".into();
                ("HS384", sign_longer::<Hmac<Sha384>>(&parts, &secret))
            }
            3 => {
                parts.header["alg"] = "HS512".into();
                ("HS512", sign_longer::<Hmac<Sha512>>(&parts, &secret))
            }
            4 => (
                "HS512 as HS256",
                sign_longer::<Hmac<Sha512>>(&parts, &secret),
            ),
            5 => {
                parts.header["alg"] = self.one(&["none", "None", "nOnE"]).into();
                let whole = parts.sign(&secret);
                let (unsigned, _) = whole.rsplit_once('.').expect("a signature");
                ("none", format!("{unsigned}.{}", self.one(&["", "AA", "."])))
            }
            6 => (
                "a shorter signature",
                format!(
                    "{input}.{}",
                    URL_SAFE_NO_PAD.encode(&bytes[..self.rng.usize(0..bytes.len())])
                ),
            ),
            7 => (
                "a longer signature",
                format!(
                    "{input}.{}",
                    URL_SAFE_NO_PAD.encode([&bytes[..], &[self.rng.u8(..)]].concat())
                ),
            ),
            8 => {
                let mut bytes = bytes;
                let at = self.rng.usize(0..bytes.len());
                bytes[at] ^= 1 << self.rng.u32(0..8);
                (
                    "a bit of the signature",
                    format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes)),
                )
            }
            9 => {
                let other = self.pick();
                let other = self.known.genuine[other].token.clone();
                if other == token {
                    ("no signature", format!("{input}."))
                } else {
                    let (_, theirs) = other.rsplit_once('.').expect("a signature");
                    ("another's signature", format!("{input}.{theirs}"))
                }
            }
            _ => {
                let encoded = self.one(&[
                    STANDARD.encode(&bytes),
                    URL_SAFE.encode(&bytes),
                    format!("{signature}="),
                ]);
                ("padding", format!("{input}.{encoded}"))
            }
        };
        Forgery {
            door,
            token,
            signed: false,
            how: how.to_owned(),
        }
    }

    // Text.

    fn edited(&mut self) -> Forgery {
        let at = self.pick();
        let Genuine { door, token, .. } = &self.known.genuine[at];
        let (door, token) = (*door, token.clone());
        let segments: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = segments[..] else {
            panic!("three segments")
        };
        let place = self.rng.usize(0..token.len());
        let around = self.one(&[
            " ", "\n", "\r\n", "\t", "=", ".", "\u{0}", "\u{feff}", "\u{a0}", "\u{200b}", "\"",
            "?", "#", "&token=", "%00", "%20",
        ]);
        let (how, text) = match self.rng.u32(0..12) {
            0 => ("after", format!("{token}{around}")),
            1 => ("before", format!("{around}{token}")),
            2 => (
                "between",
                format!("{}{around}{}", &token[..place], &token[place..]),
            ),
            3 => (
                "left out",
                format!("{}{}", &token[..place], &token[place + 1..]),
            ),
            4 => {
                let old = token.as_bytes()[place];
                let new = loop {
                    let new = self.rng.u8(0x20..0x7f);
                    if new != old {
                        break char::from(new);
                    }
                };
                (
                    "another character",
                    format!("{}{new}{}", &token[..place], &token[place + 1..]),
                )
            }
            5 => ("cut", token[..place].to_owned()),
            6 => (
                "five segments",
                format!("{header}.{claims}.{signature}.{claims}.{signature}"),
            ),
            7 => ("order", format!("{claims}.{header}.{signature}")),
            8 => (
                "nested",
                format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(&token)),
            ),
            9 => {
                let length = self.rng.usize(1_000..9_000);
                (
                    "long",
                    format!("{header}.{}{claims}.{signature}", "A".repeat(length)),
                )
            }
            10 => (
                "case",
                if self.rng.bool() {
                    token.to_uppercase()
                } else {
                    token.to_lowercase()
                },
            ),
            _ => {
                let length = self.rng.usize(0..300);
                (
                    "noise",
                    std::iter::repeat_with(|| self.rng.char(..))
                        .take(length)
                        .collect(),
                )
            }
        };
        Forgery {
            door,
            token: text,
            signed: false,
            how: format!("{how} {around:?} at {place}"),
        }
    }

    fn at_another_door(&mut self) -> Forgery {
        let at = self.pick();
        let Genuine {
            door: home, token, ..
        } = &self.known.genuine[at];
        let (home, token) = (*home, token.clone());
        let door = loop {
            let door = self.one(&DOORS);
            // Every link may be inspected; an access token may not.
            if door != home && (door != "inspect" || home == "me") {
                break door;
            }
        };
        Forgery {
            door,
            token,
            // Signed for its own door.
            signed: false,
            how: format!("door of {home}"),
        }
    }

    fn one<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(0..from.len())].clone()
    }

    fn one_of(&mut self, names: &[String]) -> Option<String> {
        (!names.is_empty()).then(|| self.one(names))
    }
}

fn names(object: &Value, keep: impl Fn(&str) -> bool) -> Vec<String> {
    let fields: Option<&Map<String, Value>> = object.as_object();
    fields
        .into_iter()
        .flat_map(Map::keys)
        .filter(|name| keep(name))
        .cloned()
        .collect()
}

fn sign_longer<M: Mac + KeyInit>(parts: &Parts, secret: &[u8]) -> String {
    let [header, claims] =
        [&parts.header, &parts.claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let mut mac = <M as KeyInit>::new_from_slice(secret).expect("a key");
    mac.update(format!("{header}.{claims}").as_bytes());
    format!(
        "{header}.{claims}.{}",
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    )
}
