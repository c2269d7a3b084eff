//! Whether the process lives (`/healthz`) and whether it can work (`/readyz`).

use poem::web::Data;
use poem::{Response, handler};
use serde_json::{Value, json};

use super::problem::{Code, Problem};
use crate::readiness::{Readiness, Report};

/// Lives. Asks nobody.
#[handler]
pub(crate) fn healthz() -> Response {
    ok(&json!({ "status": "ok" }))
}

/// Can work: the database answers and has its columns. What is known of mail server and keys is
/// told with it, and decides nothing.
#[handler]
pub(crate) async fn readyz(readiness: Data<&Readiness>) -> poem::Result<Response> {
    let report = readiness.report().await;
    if report.is_ready() {
        return Ok(ok(&json!({ "status": "ok", "checks": checks(report) })));
    }
    let code = if report.is_stopping {
        Code::Overloaded
    } else {
        Code::DatabaseUnavailable
    };
    Err(Problem::not_ready(code, checks(report)).into())
}

fn checks(report: Report) -> Value {
    json!({
        "process": if report.is_stopping { "stopping" } else { "ok" },
        "database": report.database.name(),
        "mail": report.mail.name(),
        "keys": report.keys.name(),
    })
}

fn ok(body: &Value) -> Response {
    Response::builder()
        .content_type("application/json")
        .body(body.to_string())
}
