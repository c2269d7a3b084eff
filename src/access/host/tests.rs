//! Against tokens that were made by the libraries of their issuers (`tests/vectors/make_tokens.py`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::access::verification_key::VerificationKey;

#[derive(Deserialize)]
struct Vectors {
    now: i64,
    user: String,
    secret: String,
    public_keys: BTreeMap<String, String>,
    refused_keys: BTreeMap<String, String>,
    tokens: Vec<Vector>,
    jose: Jose,
}

#[derive(Deserialize)]
struct Jose {
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Vector {
    by: String,
    key: String,
    token: String,
    good: bool,
    why: Option<String>,
    rules: Rules,
}

/// What differs from the plain rules, and from the usual user.
#[derive(Default, Deserialize)]
struct Rules {
    user: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
    #[serde(default)]
    required: Vec<(String, String)>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/vectors/tokens.json")).expect("vectors")
}

impl Vectors {
    fn host_tokens(&self, key: &str, rules: &Rules) -> HostTokens {
        let keys = match self.public_keys.get(key) {
            Some(pem) => HostTokenKeys::PublicKey(pem.clone()),
            None => HostTokenKeys::Secret(self.secret.clone().into()),
        };
        let rules = HostTokenRules {
            issuer: rules.issuer.clone(),
            audience: match rules.audience.as_deref() {
                None => Audience::Nobody,
                Some("any") => Audience::Any,
                Some(audience) => Audience::One(audience.to_owned()),
            },
            user_id: "user_id".to_owned(),
            required: rules.required.clone(),
        };
        HostTokens::new(&keys, rules, Clock::manual(self.now)).expect("a key")
    }

    async fn judge(&self, key: &str, rules: &Rules, token: &str) -> Result<String, Refusal> {
        let deadline = Deadline::of_request();
        self.host_tokens(key, rules).user_id(token, deadline).await
    }
}

#[tokio::test]
async fn every_token_is_judged_as_it_should_be() {
    let vectors = vectors();
    assert!(vectors.tokens.len() > 50);
    for vector in &vectors.tokens {
        let judged = vectors
            .judge(&vector.key, &vector.rules, &vector.token)
            .await;
        let user = vector.rules.user.as_ref().unwrap_or(&vectors.user);
        let expected = if vector.good {
            Ok(user.clone())
        } else {
            let why = vector.why.as_deref().expect("a reason");
            Err(why.to_owned())
        };
        let judged = judged.map_err(|refusal| match refusal {
            Refusal::Invalid(why) => why.to_owned(),
            Refusal::NoKeys => "no keys".to_owned(),
        });
        assert_eq!(
            judged, expected,
            "{}, {}: {}",
            vector.by, vector.key, vector.token
        );
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret_to_sign_with() {
    use jsonwebtoken::{EncodingKey, Header, encode};
    let vectors = vectors();
    for (algorithm, pem) in &vectors.public_keys {
        let claims = json!({ "user_id": vectors.user, "exp": vectors.now + 60 });
        let forged = encode(
            &Header::default(),
            &claims,
            &EncodingKey::from_secret(pem.as_bytes()),
        );
        let forged = forged.expect("signs");
        let judged = vectors.judge(algorithm, &Rules::default(), &forged).await;
        assert_eq!(judged, Err(Refusal::Invalid("alg")), "{algorithm}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let vectors = vectors();
    let good = &vectors.tokens[0].token;
    let (input, _) = good.rsplit_once('.').expect("a signature");
    let (header, rest) = good.split_once('.').expect("a header");
    for token in [
        "",
        ".",
        "..",
        "a.b.c",
        "null",
        "e30.e30.",
        &format!("{input}."),
        &format!("{good}."),
        &format!(" {good}"),
        &format!("{good}="),
        &format!("{header}.{rest}.{header}.{rest}"),
        &format!("bnVsbA.{rest}"),
        &format!("W10.{rest}"),
        &"e30.".repeat(4_000),
    ] {
        let judged = vectors.judge("HS256", &Rules::default(), token).await;
        assert!(
            matches!(judged, Err(Refusal::Invalid(_))),
            "{token}: {judged:?}"
        );
    }
}

#[test]
fn a_key_that_is_weak_costly_or_of_another_kind_is_not_taken() {
    let vectors = vectors();
    for (kind, pem) in &vectors.refused_keys {
        assert_eq!(
            VerificationKey::from_pem(pem).err(),
            Some(KeyError::Unusable),
            "{kind}"
        );
    }
    let rsa = &vectors.public_keys["RS256"];
    for (pem, error) in [
        (rsa.replace("PUBLIC", "PRIVATE"), KeyError::Private),
        (rsa.replace("PUBLIC KEY", "CERTIFICATE"), KeyError::Unusable),
        (rsa[..rsa.len() / 2].to_owned(), KeyError::Unusable),
        ("canary".to_owned(), KeyError::Unusable),
        (String::new(), KeyError::Unusable),
    ] {
        assert_eq!(VerificationKey::from_pem(&pem).err(), Some(error), "{pem}");
    }
    for (secret, error) in [
        ("x7Qm2vT9_pLr4Zk8WnB1cYs6-HdJ3fG", KeyError::TooShort),
        ("", KeyError::TooShort),
        ("abcabcabcabcabcabcabcabcabcabcabc", KeyError::NotRandom),
    ] {
        assert_eq!(
            VerificationKey::from_secret(secret).err(),
            Some(error),
            "{secret}"
        );
    }
}

#[test]
fn a_key_of_a_set_is_taken_for_its_one_purpose_only() {
    let vectors = vectors();
    for key in &vectors.jose.sets[0].keys {
        let with = |name: &str, value: Value| {
            let mut changed = key.clone();
            changed[name] = value;
            VerificationKey::from_jwk(changed).is_some()
        };
        assert!(VerificationKey::from_jwk(key.clone()).is_some(), "{key}");
        assert!(with("key_ops", json!(["verify"])));
        for (name, value) in [
            ("use", json!("enc")),
            ("key_ops", json!(["sign"])),
            ("alg", json!("HS256")),
            ("alg", json!("none")),
            ("alg", json!("RS512")),
            ("alg", json!(1)),
            ("alg", json!(null)),
            ("kty", json!("oct")),
            ("crv", json!("P-521")),
            ("x", json!("AAAA")),
            ("x", json!("")),
            ("n", json!("AQAB")),
            ("e", json!("AQABAQABAQAB")),
        ] {
            let irrelevant = key.get(name).is_none();
            assert!(
                irrelevant || !with(name, value.clone()),
                "{name}={value}: {key}"
            );
        }
    }
    let symmetric = json!({ "kty": "oct", "k": "eDdRbTJ2VDlfcExyNFprOFduQjFjWXM2", "kid": "a", "alg": "HS256" });
    assert!(VerificationKey::from_jwk(symmetric).is_none());
}
