//! Activate: one button, and the address is replaced.

use serde_json::json;

use crate::support::app::{HOUR, PASSWORD, at_once};
use crate::support::{Fault, story};

story! {
    async fn the_old_address_is_told_before_the_new_one_is_in_place(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "ann@new.example").await;
        let answer = app.activate(&activate).await;
        assert_eq!(answer.ok(200), &json!({ "status": "activated", "email": "ann@new.example" }));
        let mails = app.mails_after(4).await;
        assert_eq!((mails[2].to.as_str(), mails[3].to.as_str()), ("ann@example.com", "ann@new.example"));
        let notice = &mails[2];
        assert!(notice.text.contains("is being changed") && !notice.raw.contains("new.example"), "the old mailbox does not learn the new address");
        assert_eq!(app.state_of(&notice.token("undo-email-change")).await, "usable");
        assert_eq!(app.state_of(&activate).await, "already_active");
    }
}

story! {
    async fn a_second_press_ends_in_success(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "ann@new.example").await;
        app.activate(&activate).await.ok(200);
        let state = app.state().await;
        let again = app.activate(&activate).await;
        assert_eq!(again.ok(200), &json!({ "status": "already_active", "email": "ann@new.example" }));
        assert_eq!(app.state().await, state);
        assert_eq!(app.mails_after(4).await.len(), 4);
    }
}

story! {
    async fn of_thirty_two_at_once_one_wins_and_every_undo_link_works(app) {
        for round in 0..4 {
            let (old, new) = (format!("ann{round}@example.com"), format!("ann{round}@new.example"));
            let ann = app.person(&old).await;
            let activate = app.activate_link(&ann, &new).await;
            let answers = at_once(32, |index| {
                let request = app.http.post(format!("{}/v1/email-change/activate", app.url))
                    .header("Content-Type", "application/json").body(json!({ "token": activate }).to_string());
                async move {
                    // Spread over the time of one activation, so that some read the row just before it
                    // changes and look for the address just after.
                    tokio::time::sleep(std::time::Duration::from_micros(index as u64 % 16 * 500)).await;
                    let response = request.send().await.expect("an answer");
                    (response.status().as_u16(), response.text().await.expect("a body"))
                }
            }).await;
            assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
            assert_eq!(answers.iter().filter(|(_, body)| body.contains("\"activated\"")).count(), 1);
            let notices = app.mails().into_iter().filter(|mail| mail.to == old);
            let undo_links: Vec<String> = notices.filter_map(|mail| mail.find_token("undo-email-change")).collect();
            assert!(!undo_links.is_empty());
            for undo in &undo_links {
                assert_eq!(app.state_of(undo).await, "usable");
            }
            app.undo(undo_links.last().expect("one"), PASSWORD).await.ok(200);
            assert_eq!(app.email_of(&ann).await, old);
        }
    }
}

story! {
    async fn what_changes_while_the_notice_is_on_its_way_stops_the_change(app) {
        for (round, meanwhile) in ["password", "cancel", "window"].into_iter().enumerate() {
            let old = format!("ann{round}@example.com");
            let ann = app.person(&old).await;
            let (confirm, cancel) = app.links_of_request(&ann).await;
            let wanted = format!("new{round}@new.example");
            app.confirm(&confirm, PASSWORD, &wanted).await.ok(202);
            let activate = app.mail_to(&wanted).token("email-activation");
            app.smtp.fault(Fault::Slow(std::time::Duration::from_secs(1)));
            let (answer, ()) = tokio::join!(app.activate(&activate), async {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                match meanwhile {
                    "password" => app.set_password(&ann, "another").await,
                    "cancel" => drop(app.cancel(&cancel).await.ok(200)),
                    _ => assert_eq!(app.database.execute(&format!("UPDATE users SET undo_opened_at = 1 WHERE id = '{}'", ann.id)).await, 1),
                }
            });
            app.smtp.fault(None);
            answer.problem(410, "link_used");
            assert_eq!(app.email_of(&ann).await, old, "{meanwhile}");
        }
    }
}

story! {
    async fn an_address_that_was_taken_meanwhile_is_a_409_and_nothing_is_mailed(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "x@new.example").await;
        app.add_user("x@new.example", PASSWORD).await;
        let before = (app.state().await, app.mails().len());
        app.activate(&activate).await.problem(409, "email_taken");
        assert_eq!((app.state().await, app.mails().len()), before);
        app.database.execute("DELETE FROM users WHERE email = 'x@new.example'").await;
        app.activate(&activate).await.ok(200);
    }
}

story! {
    async fn of_two_who_claim_one_address_at_once_one_gets_it(app) {
        for round in 0..5 {
            let (ann, bob) = (app.person(&format!("ann{round}@example.com")).await, app.person(&format!("bob{round}@example.com")).await);
            let wanted = format!("x{round}@new.example");
            let links = [app.activate_link(&ann, &wanted).await, app.activate_link(&bob, &wanted).await];
            let mut statuses = at_once(2, |index| {
                let request = app.http.post(format!("{}/v1/email-change/activate", app.url))
                    .header("Content-Type", "application/json").body(json!({ "token": links[index] }).to_string());
                async move { request.send().await.expect("an answer").status().as_u16() }
            }).await;
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 409]);
        }
    }
}

story! {
    async fn without_a_notice_there_is_no_change(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "ann@new.example").await;
        for fault in [
            Fault::RefuseRecipient("450 4.2.1 greylisted"),
            Fault::RefuseRecipient("552 5.2.2 mailbox full"),
            Fault::RefuseRecipient("550 5.7.1 policy"),
            Fault::RefuseSender("550 5.1.1 sender unknown"),
            Fault::RefuseMessage("550 5.1.1 too late to say so"),
            Fault::HangUpAtOnce,
            Fault::HangUpAfterMessage,
        ] {
            let before = app.state().await;
            app.smtp.fault(fault.clone());
            let answer = app.activate(&activate).await;
            answer.problem(503, "mail_unavailable");
            assert!(answer.retry_after() > 0);
            assert_eq!(app.state().await, before, "{fault:?}");
            assert_eq!(app.state_of(&activate).await, "usable");
        }
        app.smtp.fault(None);
        app.activate(&activate).await.ok(200);
    }
}

story! {
    async fn a_mailbox_that_is_gone_does_not_hold_its_owner_hostage_but_opens_no_window(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "ann@new.example").await;
        app.smtp.fault(Fault::RefuseRecipient("550 5.1.1 no such user"));
        assert_eq!(app.activate(&activate).await.ok(200)["status"], "activated");
        assert_eq!(app.database.text("SELECT CAST(undo_opened_at AS char) FROM users").await, None);
    }
}

story! {
    async fn a_failed_database_changes_nothing_and_the_same_link_still_works(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "ann@new.example").await;
        app.database.execute("ALTER TABLE users RENAME TO users_away").await;
        let answer = app.activate(&activate).await;
        answer.problem(503, "database_unavailable");
        assert!(answer.retry_after() > 0);
        app.inspect(&activate).await.problem(503, "database_unavailable");
        app.database.execute("ALTER TABLE users_away RENAME TO users").await;
        app.activate(&activate).await.ok(200);
        assert_eq!(app.email_of(&ann).await, "ann@new.example");
    }
}

story! {
    async fn a_step_that_has_mailed_goes_to_its_end_without_its_caller(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "ann@new.example").await;
        app.smtp.fault(Fault::Slow(std::time::Duration::from_millis(400)));
        let request = app.http.post(format!("{}/v1/email-change/activate", app.url))
            .header("Content-Type", "application/json").body(json!({ "token": activate }).to_string())
            .timeout(std::time::Duration::from_millis(150));
        assert!(request.send().await.expect_err("the caller goes away").is_timeout());
        assert_eq!(app.email_of(&ann).await, "ann@example.com");
        app.mails_after(4).await;
        assert_eq!(app.email_of(&ann).await, "ann@new.example");
    }
}

story! {
    async fn a_change_inside_a_running_window_gets_no_undo_link_of_its_own(app) {
        let ann = app.person("ann@example.com").await;
        let undo = app.change(&ann, "b@new.example").await.expect("an undo link");
        let thief = app.sign_in_as("b@new.example", PASSWORD).await;
        assert_eq!(app.change(&thief, "c@new.example").await, None);
        assert_eq!(app.state_of(&undo).await, "usable");
        app.undo(&undo, PASSWORD).await.ok(200);
        assert_eq!(app.email_of(&ann).await, "ann@example.com");
    }
}

story! {
    async fn once_the_window_has_passed_the_next_change_opens_another(app) {
        let ann = app.person("ann@example.com").await;
        let first = app.change(&ann, "b@new.example").await.expect("an undo link");
        app.clock.advance(HOUR * (1 + 24 + 7 * 24));
        let ann = app.sign_in_as("b@new.example", PASSWORD).await;
        let second = app.change(&ann, "c@new.example").await.expect("an undo link");
        app.undo(&first, PASSWORD).await.problem(410, "link_expired");
        app.undo(&second, PASSWORD).await.ok(200);
        assert_eq!(app.email_of(&ann).await, "b@new.example");
    }
}
