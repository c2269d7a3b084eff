//! The steps of a change, each timed, sent to whatever stands in front.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::PASSWORD;
use crate::smtp::SmtpSink;

/// Where requests go, and where mails arrive. Shared by both benches.
pub struct Front {
    pub url: String,
    pub http: reqwest::Client,
    pub sink: Arc<SmtpSink>,
    /// How often it was told to come again.
    pub refused: Arc<AtomicU32>,
}

impl Front {
    pub fn new(url: &str, sink: &Arc<SmtpSink>) -> Self {
        Self {
            url: url.to_owned(),
            http: reqwest::Client::new(),
            sink: Arc::clone(sink),
            refused: Arc::default(),
        }
    }

    /// The answer, which must be a success, and after how many milliseconds it came.
    async fn post(&self, path: &str, access: &str, body: Value) -> (Value, f64) {
        loop {
            let request = self
                .http
                .post(format!("{}/v1/{path}", self.url))
                .header("Content-Type", "application/json")
                .header("Authorization", format!("Bearer {access}"))
                .body(body.to_string());
            let began = Instant::now();
            let answer = request.send().await.expect("an answer");
            let (status, text) = (answer.status(), answer.text().await.expect("a body"));
            let took = began.elapsed().as_secs_f64() * 1e3;
            // A machine with something else to do: the link still works.
            if status.as_u16() == 503 {
                self.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            assert!(status.is_success(), "{path}: {text}");
            return (serde_json::from_str(&text).expect("JSON"), took);
        }
    }

    pub async fn sign_in(&self, email: &str) -> (String, f64) {
        let body = json!({ "email": email, "password": PASSWORD });
        let (session, took) = self.post("session", "", body).await;
        let access = session["access_token"].as_str().expect("a token");
        (access.to_owned(), took)
    }

    pub async fn request(&self, access: &str) -> f64 {
        let body = json!({ "password": PASSWORD });
        self.post("email-change/request", access, body).await.1
    }

    pub async fn confirm(&self, from: &str, to: &str) -> f64 {
        let token = self.link(from, "new-email").await;
        let body = json!({ "token": token, "password": PASSWORD, "new_email": to });
        self.post("email-change/confirm", "", body).await.1
    }

    pub async fn activate(&self, to: &str) -> f64 {
        let token = self.link(to, "email-activation").await;
        let body = json!({ "token": token });
        self.post("email-change/activate", "", body).await.1
    }

    pub async fn cancel(&self, from: &str) -> f64 {
        let token = self.link(from, "cancel-email-change").await;
        let body = json!({ "token": token });
        self.post("email-change/cancel", "", body).await.1
    }

    pub async fn undo(&self, from: &str) -> f64 {
        let token = self.link(from, "undo-email-change").await;
        let body = json!({ "token": token, "password": PASSWORD });
        self.post("email-change/undo", "", body).await.1
    }

    pub async fn inspect(&self, to: &str) -> f64 {
        let token = self.link(to, "email-activation").await;
        let body = json!({ "token": token });
        self.post("email-change/inspect", "", body).await.1
    }

    /// The newest link to that page which that address got.
    pub async fn link(&self, to: &str, page: &str) -> String {
        for _ in 0..1_000 {
            let found = self.sink.newest(to, |mail| mail.find_token(page));
            if let Some(token) = found {
                return token;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("no {page} link to {to}");
    }
}

/// Somebody signed in, who moves to and fro.
pub struct Person {
    pub access: String,
    /// Where they are, and where they go next.
    pub homes: [String; 2],
}

impl Person {
    /// At the first of the two addresses.
    pub async fn sign_in(front: &Front, homes: [String; 2]) -> Self {
        let (access, _) = front.sign_in(&homes[0]).await;
        Self { access, homes }
    }

    /// Request, confirm, activate.
    pub async fn change(&mut self, front: &Front) {
        let [from, to] = &self.homes;
        front.request(&self.access).await;
        front.confirm(from, to).await;
        front.activate(to).await;
        self.homes.reverse();
    }
}
