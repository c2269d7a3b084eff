//! Undo: the way back for whoever had the old mailbox and the old password.

use std::time::Duration;

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use crate::support::app::{HOUR, PASSWORD};
use crate::support::{Fault, Options, story};

story! {
    async fn the_old_address_is_restored(app) {
        let ann = app.person("ann@example.com").await;
        let undo = app.change(&ann, "eve@evil.example").await.expect("an undo link");
        let answer = app.undo(&undo, PASSWORD).await;
        assert_eq!(answer.ok(200), &json!({ "status": "undone", "email": "ann@example.com" }));
        app.sign_in("ann@example.com", PASSWORD).await.ok(200);
        app.sign_in("eve@evil.example", PASSWORD).await.problem(401, "unauthenticated");
        let told = app.mails_after(5).await.pop().expect("a mail");
        assert_eq!(told.to, "ann@example.com");
        assert!(told.text.contains("Reset your password now"));
    }
}

story! {
    async fn a_stolen_mailbox_without_the_password_gets_nothing(app) {
        let ann = app.person("ann@example.com").await;
        let undo = app.change(&ann, "ann@new.example").await.expect("an undo link");
        app.undo(&undo, "wrong").await.problem(403, "wrong_password");
        assert_eq!(app.email_of(&ann).await, "ann@new.example");
        assert_eq!(app.state_of(&undo).await, "usable");
    }
}

story! {
    async fn a_thief_who_changes_the_password_too_cannot_stop_it(app) {
        let ann = app.person("ann@example.com").await;
        let undo = app.change(&ann, "eve@evil.example").await.expect("an undo link");
        app.set_password(&ann, "the thief's").await;
        app.undo(&undo, "the thief's").await.problem(403, "wrong_password");
        app.undo(&undo, PASSWORD).await.ok(200);
        assert_eq!(app.email_of(&ann).await, "ann@example.com");
    }
}

story! {
    async fn a_second_press_ends_in_success_but_only_with_the_password(app) {
        let ann = app.person("ann@example.com").await;
        let undo = app.change(&ann, "ann@new.example").await.expect("an undo link");
        app.undo(&undo, PASSWORD).await.ok(200);
        app.undo(&undo, "wrong").await.problem(403, "wrong_password");
        let again = app.undo(&undo, PASSWORD).await;
        assert_eq!(again.ok(200), &json!({ "status": "already_undone", "email": "ann@example.com" }));
        assert_eq!(app.state_of(&undo).await, "already_undone");
    }
}

story! {
    async fn an_announced_change_does_not_follow_an_undo(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "eve@evil.example").await;
        app.smtp.fault(Fault::HangUpAfterMessage);
        app.activate(&activate).await.problem(503, "mail_unavailable");
        app.smtp.fault(None);
        let undo = app.mail_to("ann@example.com").token("undo-email-change");
        assert_eq!(app.undo(&undo, PASSWORD).await.ok(200)["status"], "already_undone");
        app.activate(&activate).await.problem(410, "link_used");
        assert_eq!(app.email_of(&ann).await, "ann@example.com");
    }
}

story! {
    async fn it_works_once_for_each_change(app) {
        let ann = app.person("ann@example.com").await;
        let first = app.change(&ann, "b@new.example").await.expect("an undo link");
        app.undo(&first, PASSWORD).await.ok(200);
        app.clock.advance(HOUR / 60);
        let second = app.change(&ann, "c@new.example").await.expect("an undo link");
        app.undo(&first, PASSWORD).await.problem(410, "link_used");
        assert_eq!(app.email_of(&ann).await, "c@new.example");
        app.undo(&second, PASSWORD).await.ok(200);
    }
}

story! {
    async fn an_old_address_that_another_account_took_meanwhile_cannot_be_restored(app) {
        let ann = app.person("ann@example.com").await;
        let undo = app.change(&ann, "ann@new.example").await.expect("an undo link");
        app.add_user("ann@example.com", PASSWORD).await;
        app.undo(&undo, "wrong").await.problem(403, "wrong_password");
        app.undo(&undo, PASSWORD).await.problem(409, "email_taken");
        assert_eq!(app.email_of(&ann).await, "ann@new.example");
    }
}

story! {
    /// The row is held while the link is looked at and the password checked, so the change comes
    /// between that and the write.
    async fn a_change_of_another_window_while_it_is_asked_for_stays(app) {
        let ann = app.person("ann@example.com").await;
        let undo = app.change(&ann, "b@new.example").await.expect("an undo link");
        let other = app.database.pool.begin().await.expect("a transaction");
        let sql = format!(
            "UPDATE users SET email = 'c@new.example', email_change_nonce = email_change_nonce + 1, undo_opened_at = undo_opened_at + 1 WHERE id = '{}'",
            ann.id
        );
        other.execute_unprepared(&sql).await.expect("changed");
        let meanwhile = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            other.commit().await.expect("committed");
        };
        let (answer, ()) = tokio::join!(app.undo(&undo, PASSWORD), meanwhile);
        answer.problem(410, "link_used");
        assert_eq!(app.email_of(&ann).await, "c@new.example");
    }
}

story! {
    async fn its_passwords_have_a_limit_of_their_own(app with Options::limited(|quotas| {
        quotas.passwords = Some("4/1h".parse().expect("a quota"));
    })) {
        let ann = app.person("ann@example.com").await;
        let undo = app.change(&ann, "ann@new.example").await.expect("an undo link");
        for _ in 0..4 {
            app.undo(&undo, "wrong").await.problem(403, "wrong_password");
        }
        let limited = app.undo(&undo, PASSWORD).await;
        limited.problem(429, "rate_limited");
        assert_eq!(limited.retry_after(), 900);
        app.clock.advance(HOUR / 4);
        app.undo(&undo, PASSWORD).await.ok(200);
    }
}

story! {
    async fn it_succeeds_without_its_mail(app) {
        let ann = app.person("ann@example.com").await;
        let undo = app.change(&ann, "ann@new.example").await.expect("an undo link");
        app.smtp.fault(Fault::HangUpAtOnce);
        app.undo(&undo, PASSWORD).await.ok(200);
        assert_eq!(app.email_of(&ann).await, "ann@example.com");
    }
}

story! {
    async fn it_survives_a_password_change_before_but_asks_for_the_password_of_then(app) {
        let ann = app.person("ann@example.com").await;
        app.set_password(&ann, "second").await;
        let access = app.sign_in_as("ann@example.com", "second").await.access;
        app.request(&access, "second").await.ok(202);
        let confirm = app.mail_to("ann@example.com").token("new-email");
        app.confirm(&confirm, "second", "ann@new.example").await.ok(202);
        app.activate(&app.mail_to("ann@new.example").token("email-activation")).await.ok(200);
        let undo = app.mail_to("ann@example.com").token("undo-email-change");
        app.undo(&undo, PASSWORD).await.problem(403, "wrong_password");
        app.undo(&undo, "second").await.ok(200);
    }
}
