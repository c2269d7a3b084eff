//! Confirm: password and new address, and a link to the new mailbox.

use std::time::Duration;

use serde_json::json;

use crate::support::app::{PASSWORD, at_once};
use crate::support::{Fault, Options, story};

story! {
    async fn a_link_goes_to_the_new_address_in_its_canonical_form(app) {
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        let answer = app.confirm(&confirm, PASSWORD, "  Ann.Lee@BÜCHER.example ").await;
        let expected = json!({ "sent_to": "ann.lee@xn--bcher-kva.example", "expires_at": "2027-01-16T08:00:00Z" });
        assert_eq!(answer.ok(202), &expected);
        let mail = app.mail_to("ann.lee@xn--bcher-kva.example");
        assert_eq!(app.state_of(&mail.token("email-activation")).await, "usable");
        assert!(mail.text.contains("a***@example.com") && !mail.text.contains("ann@example.com"));
        assert_eq!(app.state_of(&confirm).await, "used");
        assert_eq!(app.email_of(&ann).await, "ann@example.com");
    }
}

story! {
    async fn a_stolen_link_without_the_password_gets_nothing(app) {
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        let before = app.state().await;
        let answer = app.confirm(&confirm, "wrong", "eve@evil.example").await;
        assert_eq!(answer.problem(403, "wrong_password")["errors"][0]["pointer"], "/password");
        assert_eq!(app.mails().len(), 1);
        assert_eq!(app.state().await, before);
        assert_eq!(app.state_of(&confirm).await, "usable");
    }
}

story! {
    async fn a_typo_costs_nothing(app) {
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        for typo in ["", "ann", "ann@", "ann@new", "ann@new..example", "ann@new.example, eve@evil.example", "\"a b\"@new.example"] {
            let answer = app.confirm(&confirm, PASSWORD, typo).await;
            assert_eq!(answer.problem(422, "invalid_email")["errors"][0]["pointer"], "/new_email");
        }
        let same = app.confirm(&confirm, PASSWORD, " ANN@Example.com").await;
        assert_eq!(same.problem(422, "same_email")["errors"][0]["pointer"], "/new_email");
        app.confirm(&confirm, PASSWORD, "ann@new.example").await.ok(202);
    }
}

story! {
    async fn the_same_confirm_pressed_again_mails_again_and_another_address_is_refused(app) {
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        app.confirm(&confirm, PASSWORD, "ann@new.example").await.ok(202);
        let first = app.mail_to("ann@new.example").token("email-activation");
        let state = app.state().await;
        app.clock.advance(Duration::from_mins(5));

        app.confirm(&confirm, PASSWORD, "ANN@new.example").await.ok(202);
        let second = app.mail_to("ann@new.example").token("email-activation");
        assert_eq!(app.mails().len(), 3);
        assert_eq!(app.state().await, state, "the repetition wrote nothing");
        assert_ne!(first, second);
        app.confirm(&confirm, "wrong", "ann@new.example").await.problem(403, "wrong_password");
        app.confirm(&confirm, PASSWORD, "other@new.example").await.problem(410, "link_used");

        assert_eq!((app.state_of(&first).await, app.state_of(&second).await), ("usable".into(), "usable".into()));
        assert_eq!(app.activate(&first).await.ok(200)["status"], "activated");
        assert_eq!(app.activate(&second).await.ok(200)["status"], "already_active");
        app.confirm(&confirm, PASSWORD, "ann@new.example").await.problem(410, "link_used");
    }
}

story! {
    async fn a_later_confirm_overtakes_an_earlier_one(app) {
        let ann = app.person("ann@example.com").await;
        let (one, two) = (app.confirm_link(&ann).await, app.confirm_link(&ann).await);
        app.confirm(&one, PASSWORD, "one@new.example").await.ok(202);
        let activate_one = app.mail_to("one@new.example").token("email-activation");
        app.confirm(&two, PASSWORD, "two@new.example").await.problem(410, "link_used");

        let three = app.confirm_link(&ann).await;
        app.confirm(&three, PASSWORD, "three@new.example").await.ok(202);
        app.activate(&activate_one).await.problem(410, "link_used");
        let activate_three = app.mail_to("three@new.example").token("email-activation");
        app.activate(&activate_three).await.ok(200);
    }
}

story! {
    async fn of_two_different_confirms_at_once_one_wins(app) {
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        let answers = at_once(8, |index| {
            let body = json!({ "token": confirm, "password": PASSWORD, "new_email": format!("ann{index}@new.example") });
            let request = app.http.post(format!("{}/v1/email-change/confirm", app.url))
                .header("Content-Type", "application/json").body(body.to_string());
            async move {
                loop {
                    let again = request.try_clone().expect("a request");
                    let status = again.send().await.expect("an answer").status().as_u16();
                    // On a busy machine eight passwords at once are too many: the same link still works.
                    if status != 503 {
                        return (index, status);
                    }
                }
            }
        }).await;
        let winners: Vec<usize> = answers.iter().filter(|(_, status)| *status == 202).map(|(index, _)| *index).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|(_, status)| [202, 410].contains(status)), "{answers:?}");
        for mail in app.mails().iter().filter(|mail| mail.to.ends_with("@new.example")) {
            let won = mail.to == format!("ann{}@new.example", winners[0]);
            let state = app.state_of(&mail.token("email-activation")).await;
            assert_eq!(state, if won { "usable" } else { "used" }, "a mail without its write is inert");
        }
    }
}

story! {
    async fn the_same_confirm_pressed_twice_at_once_succeeds_both_times(app) {
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        let statuses = at_once(4, |_| {
            let body = json!({ "token": confirm, "password": PASSWORD, "new_email": "ann@new.example" });
            let request = app.http.post(format!("{}/v1/email-change/confirm", app.url))
                .header("Content-Type", "application/json").body(body.to_string());
            async move { request.send().await.expect("an answer").status().as_u16() }
        }).await;
        assert_eq!(statuses, [202; 4]);
        for mail in app.mails().iter().filter(|mail| mail.to == "ann@new.example") {
            assert_eq!(app.state_of(&mail.token("email-activation")).await, "usable");
        }
    }
}

story! {
    async fn nobody_learns_whether_an_address_has_an_account(app) {
        app.add_user("taken@example.com", PASSWORD).await;
        let ann = app.person("ann@example.com").await;
        let mut seen = Vec::new();
        for new_email in ["taken@example.com", "atfree@example.com"] {
            let confirm = app.confirm_link(&ann).await;
            let before = (app.mails().len(), app.state().await);
            let answer = app.confirm(&confirm, PASSWORD, new_email).await;
            assert_eq!(answer.ok(202)["sent_to"], new_email);
            assert_eq!(app.mails().len(), before.0 + 1, "exactly one mail");
            assert_ne!(app.state().await, before.1, "the link is consumed alike");
            assert_eq!(app.state_of(&confirm).await, "used");
            app.confirm(&confirm, PASSWORD, new_email).await.ok(202);
            assert_eq!(app.mails().len(), before.0 + 2, "and repeated alike");
            seen.push((answer.status, answer.text.replace(new_email, ""), answer.headers.len()));
        }
        assert_eq!(seen[0], seen[1]);
        let warning = app.mail_to("taken@example.com");
        assert_eq!(warning.subject, "Someone tried to use your e-mail address at app.example.com");
        assert!(!warning.raw.contains("token") && !warning.text.contains("ann"));
    }
}

story! {
    async fn both_ways_fail_alike_when_the_mail_server_does(app) {
        app.add_user("taken@example.com", PASSWORD).await;
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        for new_email in ["taken@example.com", "free@example.com"] {
            let before = app.state().await;
            app.smtp.fault(Fault::RefuseRecipient("550 5.1.1 no such user"));
            let gone = app.confirm(&confirm, PASSWORD, new_email).await;
            assert_eq!(gone.problem(422, "undeliverable")["errors"][0]["pointer"], "/new_email");
            app.smtp.fault(Fault::RefuseRecipient("451 4.3.0 later"));
            app.confirm(&confirm, PASSWORD, new_email).await.problem(503, "mail_unavailable");
            assert_eq!(app.state().await, before);
            assert_eq!(app.state_of(&confirm).await, "usable");
        }
        app.smtp.fault(None);
        app.confirm(&confirm, PASSWORD, "free@example.com").await.ok(202);
    }
}

story! {
    async fn a_mail_that_was_accepted_without_a_word_is_inert_until_the_same_link_is_pressed_again(app) {
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        app.smtp.fault(Fault::HangUpAfterMessage);
        app.confirm(&confirm, PASSWORD, "ann@new.example").await.problem(503, "mail_unavailable");
        let announced = app.mail_to("ann@new.example").token("email-activation");
        assert_eq!(app.state_of(&announced).await, "used");
        app.activate(&announced).await.problem(410, "link_used");
        app.smtp.fault(None);
        app.confirm(&confirm, PASSWORD, "ann@new.example").await.ok(202);
        app.activate(&announced).await.ok(200);
    }
}

story! {
    async fn mails_to_one_new_address_are_limited_by_requester_and_in_all(app with Options::limited(|quotas| {
        quotas.recipient = Some("2/1h".parse().expect("a quota"));
        quotas.recipient_all = Some("3/1d".parse().expect("a quota"));
    })) {
        let (ann, bob) = (app.person("ann@example.com").await, app.person("bob@example.com").await);
        let confirm = app.confirm_link(&ann).await;
        app.confirm(&confirm, "wrong", "x@new.example").await.problem(403, "wrong_password");
        app.confirm(&confirm, PASSWORD, "x@new.example").await.ok(202);
        app.confirm(&confirm, PASSWORD, "X@new.example").await.ok(202);
        let limited = app.confirm(&confirm, PASSWORD, "x@new.example").await;
        limited.problem(429, "rate_limited");
        assert_eq!(limited.retry_after(), 1_800);

        let confirm = app.confirm_link(&bob).await;
        app.confirm(&confirm, PASSWORD, "x@new.example").await.ok(202);
        let limited = app.confirm(&confirm, PASSWORD, "x@new.example").await;
        limited.problem(429, "rate_limited");
        assert_eq!(limited.retry_after(), 8 * 3_600);
        app.confirm(&app.confirm_link(&bob).await, PASSWORD, "y@new.example").await.ok(202);
    }
}

story! {
    async fn a_mail_that_was_not_sent_is_not_counted(app with Options::limited(|quotas| {
        quotas.recipient = Some("1/1h".parse().expect("a quota"));
    })) {
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        app.smtp.fault(Fault::RefuseMessage("451 4.3.0 later"));
        for _ in 0..3 {
            app.confirm(&confirm, PASSWORD, "x@new.example").await.problem(503, "mail_unavailable");
        }
        app.smtp.fault(None);
        app.confirm(&confirm, PASSWORD, "x@new.example").await.ok(202);
        app.confirm(&confirm, PASSWORD, "x@new.example").await.problem(429, "rate_limited");
    }
}

story! {
    async fn a_user_who_is_gone_has_no_links(app) {
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        app.database.execute("DELETE FROM users").await;
        app.confirm(&confirm, PASSWORD, "ann@new.example").await.problem(400, "invalid_link");
        app.inspect(&confirm).await.problem(400, "invalid_link");
    }
}
