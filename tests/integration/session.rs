//! Signing in.

use std::time::Duration;

use crate::support::app::PASSWORD;
use crate::support::{Options, story};

story! {
    async fn an_access_token_says_who_is_signed_in(app) {
        app.add_user("ann@example.com", PASSWORD).await;
        let session = app.sign_in(" Ann@EXAMPLE.com ", PASSWORD).await;
        assert_eq!(session.ok(200)["token_type"], "Bearer");
        assert_eq!(session.json["expires_in"], 900);
        let me = app.me(session.field("access_token")).await;
        assert_eq!(me.ok(200)["email"], "ann@example.com");
    }
}

story! {
    async fn an_address_with_an_internationalized_domain_signs_in_as_it_is_typed(app) {
        app.add_user("ann@bücher.example", PASSWORD).await;
        for typed in ["ann@bücher.example", "Ann@BÜCHER.example", "ann@xn--bcher-kva.example"] {
            app.sign_in(typed, PASSWORD).await.ok(200);
        }
    }
}

/// Of the plain password, as other software has stored it (`tests/vectors/make_passwords.py`).
fn stored_elsewhere() -> Vec<String> {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../vectors/passwords.json")).expect("vectors");
    let of_ours = vectors
        .as_array()
        .expect("vectors")
        .iter()
        .filter(|vector| vector["password"] == PASSWORD && vector.get("pepper").is_none());
    let stored = of_ours.map(|vector| vector["stored"].as_str().expect("a hash").to_owned());
    stored.collect()
}

story! {
    async fn a_password_that_other_software_has_stored_signs_in_and_stays_as_it_was(app) {
        app.add_user("ann@example.com", PASSWORD).await;
        let hashes = stored_elsewhere();
        assert!(hashes.len() > 15, "{}", hashes.len());
        for hash in &hashes {
            let set = format!("UPDATE users SET password_hash = '{hash}'");
            assert_eq!(app.database.execute(&set).await, 1);
            app.sign_in("ann@example.com", PASSWORD).await.ok(200);
            app.sign_in("ann@example.com", "Correct horse battery staple").await.problem(401, "unauthenticated");
        }
        let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
        let undo = app.change(&ann, "ann@new.example").await.expect("an undo link");
        app.undo(&undo, PASSWORD).await.ok(200);
        let kept = app.database.text("SELECT password_hash FROM users").await;
        assert_eq!(kept.as_ref(), hashes.last());
    }
}

story! {
    async fn an_unknown_user_and_a_wrong_password_are_not_told_apart(app) {
        app.add_user("ann@example.com", PASSWORD).await;
        let wrong = app.sign_in("ann@example.com", "wrong").await;
        let unknown = app.sign_in("bob@example.com", "wrong").await;
        let nonsense = app.sign_in("no address", "wrong").await;
        for answer in [&wrong, &unknown, &nonsense] {
            answer.problem(401, "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(without_id(&answer.text), without_id(&wrong.text));
        }
    }
}

fn without_id(text: &str) -> String {
    let (start, rest) = text.split_once("\"request_id\":\"").expect("an id");
    format!("{start}{}", &rest[36..])
}

story! {
    async fn an_unknown_user_costs_the_same_work(app) {
        app.add_user("ann@example.com", PASSWORD).await;
        app.add_user("broken@example.com", PASSWORD).await;
        app.database.execute("UPDATE users SET password_hash = '!' WHERE email = 'broken@example.com'").await;
        let emails = ["ann@example.com", "bob@example.com", "no address", "broken@example.com"];
        // The quickest of several, in turns: whatever else the machine does only adds to it. While
        // that has not been little yet, again; who costs less stays ahead however often.
        let mut quickest = [Duration::MAX; 4];
        for round in 0..60 {
            for (email, quickest) in emails.iter().zip(&mut quickest) {
                let began = std::time::Instant::now();
                app.sign_in(email, "wrong").await.problem(401, "unauthenticated");
                *quickest = (*quickest).min(began.elapsed());
            }
            let [known, unknown @ ..] = quickest;
            if round >= 8 && unknown.iter().all(|unknown| *unknown > known * 2 / 3) {
                return;
            }
        }
        panic!("{emails:?} took {quickest:?}");
    }
}

story! {
    async fn nobody_can_lock_another_person_out(app with Options {
        server: readdress::server::Settings {
            trusted_proxies: vec!["127.0.0.0/8".parse().expect("a net")], ..Options::default().server
        },
        ..Options::limited(|quotas| quotas.passwords = Some("3/1h".parse().expect("a quota")))
    }) {
        app.add_user("ann@example.com", PASSWORD).await;
        let from = |ip: &'static str, email: &'static str, password: &'static str| async move {
            let request = app.http.post(format!("{}/v1/session", app.url))
                .header("Content-Type", "application/json")
                .header("X-Forwarded-For", ip)
                .body(serde_json::json!({ "email": email, "password": password }).to_string());
            app.receive(request, "POST", "/v1/session").await
        };
        for email in ["ann@example.com", "ANN@example.com", "ann@example.com "] {
            from("192.0.2.1", email, "guess").await.problem(401, "unauthenticated");
        }
        let limited = from("192.0.2.1", "ann@example.com", PASSWORD).await;
        limited.problem(429, "rate_limited");
        assert_eq!(limited.retry_after(), 1_200);
        from("192.0.2.1", "bob@example.com", "guess").await.problem(401, "unauthenticated");
        from("192.0.2.2", "ann@example.com", PASSWORD).await.ok(200);
        app.clock.advance(Duration::from_mins(20));
        from("192.0.2.1", "ann@example.com", PASSWORD).await.ok(200);
    }
}

story! {
    async fn an_address_has_one_limit_however_it_is_typed(app with
        Options::limited(|quotas| quotas.passwords = Some("3/1h".parse().expect("a quota")))
    ) {
        app.add_user("ann@example.com", PASSWORD).await;
        for email in ["ann@example。com", "ann@ＥＸＡＭＰＬＥ.com", "ann@exam\u{ad}ple.com"] {
            app.sign_in(email, "guess").await.problem(401, "unauthenticated");
        }
        for email in ["ann@example.com", "Ann@example｡com", "ann@ⓔxample.com"] {
            app.sign_in(email, PASSWORD).await.problem(429, "rate_limited");
        }
    }
}

story! {
    async fn signing_in_can_be_off(app with Options { sign_in: false, ..Options::default() }) {
        app.add_user("ann@example.com", PASSWORD).await;
        app.sign_in("ann@example.com", PASSWORD).await.problem(404, "not_found");
    }
}

story! {
    async fn an_access_token_outlives_a_change_of_address_and_password(app) {
        let ann = app.person("ann@example.com").await;
        app.change(&ann, "ann@new.example").await;
        app.set_password(&ann, "another").await;
        assert_eq!(app.me(&ann.access).await.ok(200)["email"], "ann@new.example");
    }
}
