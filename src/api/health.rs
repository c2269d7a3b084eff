//! Whether the process lives (`/healthz`) and whether it can work (`/readyz`).

use poem::web::Data;
use poem::{Response, handler};

use super::problem::Problem;
use crate::email_change::Caller;
use crate::users::Users;

/// Lives. Asks nobody.
#[handler]
pub(crate) fn healthz() -> Response {
    ok()
}

/// Can work: the database answers and has its columns.
#[handler]
pub(crate) async fn readyz(users: Data<&Users>, caller: Data<&Caller>) -> poem::Result<Response> {
    users.probe(caller.deadline).await.map_err(Problem::from)?;
    Ok(ok())
}

fn ok() -> Response {
    Response::builder()
        .content_type("application/json")
        .body(r#"{"status":"ok"}"#)
}
