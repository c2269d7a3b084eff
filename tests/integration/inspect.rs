//! Inspect: what a link is for, and whether it still holds.

use serde_json::json;

use crate::support::app::{HOUR, PASSWORD};
use crate::support::{Options, story};

story! {
    async fn each_kind_says_what_it_is_for_and_until_when(app) {
        let ann = app.person("ann@example.com").await;
        let (confirm, cancel) = app.links_of_request(&ann).await;
        assert_eq!(app.inspect(&confirm).await.ok(200), &json!({ "kind": "confirm", "state": "usable", "expires_at": "2027-01-15T09:00:00Z" }));
        assert_eq!(app.inspect(&cancel).await.ok(200), &json!({ "kind": "cancel", "state": "usable", "expires_at": "2027-01-16T09:00:00Z" }));
        app.clock.advance(HOUR / 2);
        app.confirm(&confirm, PASSWORD, "Ann@new.example").await.ok(202);
        let activate = app.mail_to("ann@new.example").token("email-activation");
        assert_eq!(app.inspect(&activate).await.ok(200), &json!({
            "kind": "activate", "state": "usable", "expires_at": "2027-01-16T08:30:00Z", "new_email": "ann@new.example"
        }));
        app.activate(&activate).await.ok(200);
        let undo = app.mail_to("ann@example.com").token("undo-email-change");
        assert_eq!(app.inspect(&undo).await.ok(200), &json!({ "kind": "undo", "state": "usable", "expires_at": "2027-01-23T09:00:00Z" }));

        assert_eq!(app.state_of(&confirm).await, "used");
        assert_eq!(app.state_of(&cancel).await, "used");
        assert_eq!(app.state_of(&activate).await, "already_active");
        app.undo(&undo, PASSWORD).await.ok(200);
        assert_eq!(app.state_of(&undo).await, "already_undone");
        assert_eq!(app.state_of(&activate).await, "used");
    }
}

story! {
    async fn it_changes_nothing_however_often_it_is_asked(app with Options::limited(|quotas| {
        quotas.passwords = Some("2/1h".parse().expect("a quota"));
    })) {
        let ann = app.person("ann@example.com").await;
        let (confirm, cancel) = app.links_of_request(&ann).await;
        let before = (app.state().await, app.mails().len());
        for _ in 0..10 {
            assert_eq!(app.state_of(&confirm).await, "usable");
            assert_eq!(app.state_of(&cancel).await, "usable");
        }
        assert_eq!((app.state().await, app.mails().len()), before);
        app.confirm(&confirm, PASSWORD, "ann@new.example").await.ok(202);
    }
}

story! {
    async fn an_expired_link_is_still_told_for_what_it_was(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "ann@new.example").await;
        app.clock.advance(24 * HOUR);
        let answer = app.inspect(&activate).await;
        assert_eq!(answer.ok(200)["state"], "expired");
        assert_eq!(answer.json["new_email"], "ann@new.example");
    }
}
