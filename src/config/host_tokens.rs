//! The variables of the host application's access tokens.

use url::Url;

use super::reader::Reader;
use super::values::is_safe;
use crate::access::host::{
    Audience, HostTokenKeys, HostTokenRules, HostTokenSetupError, HostTokens,
};
use crate::clock::Clock;

const SECRET: &str = "READDRESS_HOST_TOKEN_SECRET";
const PUBLIC_KEY: &str = "READDRESS_HOST_TOKEN_PUBLIC_KEY";
const JWKS_URL: &str = "READDRESS_HOST_TOKEN_JWKS_URL";
const CA_FILE: &str = "READDRESS_HOST_TOKEN_CA_FILE";
const ISSUER: &str = "READDRESS_HOST_TOKEN_ISSUER";
const AUDIENCE: &str = "READDRESS_HOST_TOKEN_AUDIENCE";
const USER_ID: &str = "READDRESS_HOST_TOKEN_USER_ID";
const REQUIRE: &str = "READDRESS_HOST_TOKEN_REQUIRE";

/// What takes every issuer or audience.
const ANY: &str = "any";

/// Reads them. `None` if there are none, or if one is wrong: the reader says what.
pub(super) fn host_tokens(reader: &mut Reader) -> Option<HostTokens> {
    let errors = reader.count();
    let keys = keys(reader);
    let rules = rules(
        reader,
        matches!(keys, Some((_, HostTokenKeys::Jwks { .. }))),
    );
    let Some((name, keys)) = keys else {
        if reader.count() == errors {
            refuse_rules_without_keys(reader);
        }
        return None;
    };
    match HostTokens::new(&keys, rules, Clock::System) {
        Ok(tokens) => Some(tokens),
        Err(HostTokenSetupError::Key(error)) => {
            let mend = match keys {
                HostTokenKeys::Secret(_) => {
                    "set it to what the application signs its tokens with: 32 random bytes or more"
                }
                _ => "set it to the public key that belongs to what the application signs with",
            };
            reader.refuse(name, &error.to_string(), mend);
            None
        }
        Err(HostTokenSetupError::Certificates(error)) => {
            let mend = "set it to the path of a file of certificates, or take it away";
            reader.refuse(CA_FILE, &error.to_string(), mend);
            None
        }
    }
}

/// The one of the three that is set, with its variable.
fn keys(reader: &mut Reader) -> Option<(&'static str, HostTokenKeys)> {
    let mut set = Vec::new();
    if let Some(secret) = reader.optional(SECRET) {
        set.push((SECRET, HostTokenKeys::Secret(secret)));
    }
    if let Some(pem) = reader.optional(PUBLIC_KEY) {
        set.push((PUBLIC_KEY, HostTokenKeys::PublicKey(pem.to_string())));
    }
    let mend = "set it to the https URL of a JWK Set, such as https://id.example.com/.well-known/jwks.json";
    let read = |text: &str| {
        let url = Url::parse(text).ok().filter(is_safe)?;
        let plain =
            url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        plain.then_some(url)
    };
    if let Some(url) = reader.parsed(JWKS_URL, "is not a https URL", mend, read) {
        let mend = "check path and rights";
        let problem = "names a file that cannot be read";
        let authorities = reader.parsed(CA_FILE, problem, mend, |path| std::fs::read(path).ok());
        set.push((JWKS_URL, HostTokenKeys::Jwks { url, authorities }));
    }
    if let [(first, _), (second, _), ..] = set.as_slice() {
        let mend = "set one of the two: what the application signs its access tokens with";
        reader.refuse(second, &format!("is set, and so is {first}"), mend);
        return None;
    }
    set.pop()
}

fn rules(reader: &mut Reader, is_jwks: bool) -> HostTokenRules {
    let (issuer, audience) = (reader.optional(ISSUER), reader.optional(AUDIENCE));
    // Who publishes keys signs for many, and a token for another application is no token for us.
    for (name, value) in [(ISSUER, &issuer), (AUDIENCE, &audience)] {
        if is_jwks && value.is_none() {
            let mend = "set it to what the tokens for this application say, or to `any` if they say nothing";
            reader.refuse(
                name,
                "is not set, and the keys are those of a JWK Set",
                mend,
            );
        }
    }
    let mend = "set it to claims and their values, separated by commas, such as token_type=access";
    let read = |text: &str| {
        let pairs = text.split(',').map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        });
        pairs.collect()
    };
    let required = reader.parsed(REQUIRE, "is no list of claims", mend, read);
    let user_id = reader.parsed_or_default(USER_ID, "", "", |text| Some(text.to_owned()));
    HostTokenRules {
        issuer: issuer
            .filter(|issuer| issuer.as_str() != ANY)
            .map(|issuer| issuer.to_string()),
        audience: match audience {
            None => Audience::Nobody,
            Some(audience) if audience.as_str() == ANY => Audience::Any,
            Some(audience) => Audience::One(audience.to_string()),
        },
        user_id: user_id.unwrap_or_default(),
        required: required.unwrap_or_default(),
    }
}

/// Whoever sets rules wants tokens: a key that is missing would leave `signIn` on.
fn refuse_rules_without_keys(reader: &mut Reader) {
    for name in [CA_FILE, ISSUER, AUDIENCE, USER_ID, REQUIRE] {
        if reader.optional(name).is_some() {
            let problem = format!("is set, but none of {SECRET}, {PUBLIC_KEY} and {JWKS_URL}");
            reader.refuse(
                name,
                &problem,
                "set the one that the application's tokens need",
            );
        }
    }
}
