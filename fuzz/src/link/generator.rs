//! Tokens from bytes, so that one changed byte changes one thing about a token.
//!
//! The first byte says what the rest is: `t` a token as it stands; `j` header and claims as JSON, a
//! line each, to be signed; anything else a list of edits of a genuine link, three bytes an edit,
//! to be signed too. The second byte says with which secret. What is signed so is *validly* signed:
//! nothing but the reader's own rules can refuse it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{ISSUER, NOW, USER_ID, World};

/// A JSON text as it will stand, twins and all.
type Members = Vec<(String, String)>;

pub(super) fn token(world: &World, data: &[u8]) -> Option<String> {
    let (&[mode, choice], rest) = data.split_first_chunk()?;
    let secret = secret(world, choice);
    match mode {
        b't' => String::from_utf8(rest.to_vec()).ok(),
        b'j' => {
            let (header, claims) = rest.split_at(rest.iter().position(|byte| *byte == b'\n')?);
            Some(sign(header, &claims[1..], secret))
        }
        _ => Some(edited(world, mode, secret, rest)),
    }
}

/// Mostly the secret that signs links.
fn secret(world: &World, choice: u8) -> &[u8] {
    let key = |kid| world.ring.find(kid).expect("a key");
    match choice % 8 {
        0..=3 => key("k1").signing_secret(),
        4 | 5 => key("k2").signing_secret(),
        6 => key("k1").access_secret(),
        _ => world.retired.signing().signing_secret(),
    }
}

fn sign(header: &[u8], claims: &[u8], secret: &[u8]) -> String {
    let part = |json: &[u8]| URL_SAFE_NO_PAD.encode(json);
    let signed = format!("{}.{}", part(header), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", part(&mac.finalize().into_bytes()))
}

fn edited(world: &World, mode: u8, secret: &[u8], edits: &[u8]) -> String {
    let genuine = &world.genuine[usize::from(mode >> 2) % 2][usize::from(mode) % 4];
    let mut parts = genuine.split('.').map(members);
    let (mut header, mut claims) = (
        parts.next().expect("a header"),
        parts.next().expect("claims"),
    );
    for edit in edits.chunks_exact(3).take(8) {
        let &[what, name, value] = edit else { continue };
        let (of, names) = if what & 1 == 0 {
            (&mut claims, CLAIM_NAMES.as_slice())
        } else {
            (&mut header, HEADER_NAMES.as_slice())
        };
        apply(
            of,
            what >> 1,
            names[usize::from(name) % names.len()],
            &raw(what, value),
        );
    }
    sign(text(&header).as_bytes(), text(&claims).as_bytes(), secret)
}

fn members(segment: &str) -> Members {
    let json = URL_SAFE_NO_PAD.decode(segment).unwrap_or_default();
    match serde_json::from_slice(&json) {
        Ok(Value::Object(members)) => members
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            .collect(),
        // The signature.
        _ => Members::new(),
    }
}

fn apply(members: &mut Members, how: u8, name: &str, value: &str) {
    let place = members.iter().position(|(other, _)| other == name);
    match (how % 6, place) {
        (0 | 1, Some(place)) => value.clone_into(&mut members[place].1),
        (2, Some(place)) => drop(members.remove(place)),
        // Once more, with its own value or with another, in front or behind.
        (3, Some(place)) => members.push(members[place].clone()),
        (4, _) => members.insert(0, (name.to_owned(), value.to_owned())),
        _ => members.push((name.to_owned(), value.to_owned())),
    }
}

fn text(members: &Members) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
        .collect();
    format!("{{{}}}", members.join(","))
}

const CLAIM_NAMES: [&str; 16] = [
    "iss",
    "aud",
    "sub",
    "iat",
    "exp",
    "fp",
    "new_email",
    "opened_at",
    "sealed",
    "nbf",
    "jti",
    "own",
    "EXP",
    "exp\0",
    "\u{65e5}",
    "",
];

const HEADER_NAMES: [&str; 16] = [
    "alg", "typ", "kid", "crit", "jku", "jwk", "x5u", "x5c", "zip", "enc", "cty", "b64", "ALG",
    "url", "nonce", "",
];

/// A value by number: ours, ours misspelt, times around every bound, and other types.
fn raw(what: u8, value: u8) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let bounds = [
        NOW,
        NOW + 60,
        NOW + 3_600,
        NOW + 86_400,
        NOW + 90_000,
        NOW + 694_800,
    ];
    if value >= 128 {
        let bound = bounds[usize::from(value) % bounds.len()];
        let off = i64::from(what >> 5) - 3;
        return (bound + off).to_string();
    }
    match value % 40 {
        0 => quoted("HS256"),
        1 => quoted("none"),
        2 => quoted("HS512"),
        3 => quoted("hs256"),
        4 => quoted("RS256"),
        5 => quoted("readdress-confirm+jwt"),
        6 => quoted("readdress-activate+jwt"),
        7 => quoted("readdress-cancel+jwt"),
        8 => quoted("readdress-undo+jwt"),
        9 => quoted("readdress-access+jwt"),
        10 => quoted("application/readdress-confirm+jwt"),
        11 => quoted("k1"),
        12 => quoted("k2"),
        13 => quoted("k0"),
        14 => quoted("K1"),
        15 => quoted(ISSUER),
        16 => quoted("https://app.example.com/"),
        17 => format!("[{}]", quoted(ISSUER)),
        18 => format!("[{},\"https://evil.example\"]", quoted(ISSUER)),
        19 => quoted(USER_ID),
        20 => "null".to_owned(),
        21 => "true".to_owned(),
        22 => "{}".to_owned(),
        23 => "[]".to_owned(),
        24 => "\"\"".to_owned(),
        25 => i64::MAX.to_string(),
        26 => i64::MIN.to_string(),
        27 => "18446744073709551615".to_owned(),
        28 => "1e400".to_owned(),
        29 => format!("{NOW}.0"),
        30 => format!("{NOW}e0"),
        31 => quoted(&NOW.to_string()),
        32 => "-1".to_owned(),
        33 => "0".to_owned(),
        34 => "-0".to_owned(),
        35 => "[\"exp\"]".to_owned(),
        36 => quoted("ann@new.example"),
        37 => "\"\\u0000\"".to_owned(),
        38 => "\"\\ud800\"".to_owned(),
        _ => quoted(&"A".repeat(43)),
    }
}
