//! The host application's keys: fetched once if they are at a URL, and named.

use super::report::Part;
use crate::access::host::{HostTokens, JwksError};
use crate::email_change::chain;
use crate::finding::Finding;

const NAME: &str = "host tokens";
const URL: &str = "READDRESS_HOST_TOKEN_JWKS_URL";

pub(super) async fn look(tokens: &HostTokens) -> Part {
    match tokens.probe().await {
        Ok(keys) => {
            let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
            let summary = format!("{} to verify with: {}", keys.len(), names.join(", "));
            Part::new(NAME, summary, Vec::new())
        }
        Err(error) => Part::failed(
            NAME,
            Finding::grave(
                chain(&error),
                "nobody is recognised without the keys; `serve` starts and goes on trying",
                mend(&error),
            ),
        ),
    }
}

fn mend(error: &JwksError) -> String {
    match error {
        error if error.is_certificate() => format!(
            "let {URL} name the server as its certificate does; set READDRESS_HOST_TOKEN_CA_FILE to the PEM file of the authority that signed it, if that is no public one"
        ),
        JwksError::Fetch(_) => {
            format!("check host, port and path in {URL}, and that this machine may connect there")
        }
        JwksError::Malformed => {
            format!("set {URL} to the JWK Set itself (`jwks_uri`), not to the discovery document")
        }
        JwksError::NoKeys => {
            "let the application sign with RS256, ES256 or EdDSA and publish that key; for HS256 set READDRESS_HOST_TOKEN_SECRET".to_owned()
        }
    }
}
