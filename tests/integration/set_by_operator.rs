//! Set by the operator: the way out for someone who lost the old mailbox. What the command says and
//! logs is in `commands/set_email.rs`; tables of an application's own are in `tables/`.

use std::sync::Arc;

use readdress::email_change::set_by_operator::SetByOperatorError as Error;

use crate::support::app::{PASSWORD, at_once, order};
use crate::support::{Fault, story};

story! {
    async fn the_address_is_replaced_and_both_are_told(app) {
        let ann = app.person("ann@example.com").await;
        let set = app.set_email(" Ann@Example.com ", "ann@new.example").await.expect("set");
        assert_eq!(set.user_id.as_str(), ann.id);
        assert_eq!((set.from.as_str(), set.to.as_str()), ("a***@example.com", "a***@new.example"));
        assert!(set.untold.is_empty(), "{set:?}");
        let mails = app.mails();
        assert_eq!(mails.len(), 2);
        let notice = app.mail_to("ann@example.com");
        assert!(!notice.raw.contains("new.example"), "the lost mailbox learns nothing");
        assert!(!notice.raw.contains("token="), "and gets no link");
        assert!(app.mail_to("ann@new.example").text.contains("Sign in\nwith it"));
        app.sign_in("ann@example.com", PASSWORD).await.problem(401, "unauthenticated");
        assert_eq!(app.sign_in_as("ann@new.example", PASSWORD).await.id, ann.id);
    }
}

story! {
    async fn links_that_were_out_die_and_the_old_address_coming_back_revives_none(app) {
        let ann = app.person("a@example.com").await;
        let undo = app.change(&ann, "ann@example.com").await.expect("an undo link");
        let (confirm, cancel) = app.links_of_request(&ann).await;
        let activate = app.activate_link(&ann, "thief@evil.example").await;
        // The confirm link of this request is used up; one more that is not.
        let (unused, _) = app.links_of_request(&ann).await;
        assert_eq!(app.state_of(&undo).await, "usable");
        assert_eq!(app.state_of(&cancel).await, "usable");
        assert_eq!(app.state_of(&activate).await, "usable");
        assert_eq!(app.state_of(&unused).await, "usable");

        app.set_email("ann@example.com", "ann@new.example").await.expect("set");
        for link in [&confirm, &unused, &cancel, &activate, &undo] {
            assert_eq!(app.state_of(link).await, "used");
        }
        app.set_email("ann@new.example", "ann@example.com").await.expect("set back");
        for link in [&confirm, &unused, &activate, &undo] {
            assert_eq!(app.state_of(link).await, "used");
        }
        app.activate(&activate).await.problem(410, "link_used");
        app.confirm(&unused, PASSWORD, "thief@evil.example").await.problem(410, "link_used");
        app.undo(&undo, PASSWORD).await.problem(410, "link_used");
        assert_eq!(app.email_of(&ann).await, "ann@example.com");
    }
}

story! {
    async fn the_next_change_of_the_same_person_can_be_undone_again(app) {
        let ann = app.person("ann@example.com").await;
        app.change(&ann, "b@new.example").await.expect("an undo link");
        app.set_email("b@new.example", "c@new.example").await.expect("set");
        let ann = app.sign_in_as("c@new.example", PASSWORD).await;
        let undo = app.change(&ann, "d@new.example").await.expect("no window was left open");
        app.undo(&undo, PASSWORD).await.ok(200);
        assert_eq!(app.email_of(&ann).await, "c@new.example");
    }
}

story! {
    async fn an_order_that_is_not_true_changes_nothing_and_mails_nobody(app) {
        let ann = app.person("ann@example.com").await;
        let bob = app.person("bob@example.com").await;
        let (before, operator) = (app.state().await, app.operator());
        for (id, from) in [
            (None, Some("nobody@example.com")),
            (Some("4711"), None),
            (Some(""), None),
            (Some(bob.id.as_str()), Some("ann@example.com")),
            (Some("4711"), Some("ann@example.com")),
        ] {
            let refused = operator.set_email(&order(id, from, "ann@new.example")).await;
            assert!(matches!(refused, Err(Error::NoAccount)), "{id:?} {from:?}: {refused:?}");
        }
        let id = Some(ann.id.as_str());
        let taken = operator.set_email(&order(id, None, "Bob@Example.com")).await;
        assert!(matches!(taken, Err(Error::EmailTaken)), "{taken:?}");
        let same = operator.set_email(&order(id, None, "Ann@Example.com")).await;
        assert!(matches!(same, Err(Error::SameEmail)), "{same:?}");
        assert_eq!(app.state().await, before);
        assert!(app.mails().is_empty());
        operator.set_email(&order(id, Some("ann@example.com"), "ann@new.example")).await.expect("set");
    }
}

story! {
    async fn the_mails_never_fail_it(app) {
        let ann = app.person("ann@example.com").await;
        for (fault, to) in [(Fault::RefuseRecipient("550 5.1.1 no such mailbox"), "b@new.example"), (Fault::HangUpAtOnce, "c@new.example")] {
            let from = app.email_of(&ann).await;
            app.smtp.fault(fault);
            let set = app.set_email(&from, to).await.expect("set");
            app.smtp.fault(None);
            let untold: Vec<&str> = set.untold.iter().map(|(which, _)| *which).collect();
            assert_eq!(untold, ["old", "new"], "{set:?}");
            assert_eq!(app.email_of(&ann).await, to);
        }
    }
}

story! {
    async fn an_activation_at_the_same_time_is_overtaken_or_seen(app) {
        let ann = app.person("ann@example.com").await;
        let operator = Arc::new(app.operator());
        for round in 0..8 {
            let activate = app.activate_link(&ann, &format!("thief{round}@evil.example")).await;
            let (id, to) = (ann.id.clone(), format!("ann{round}@new.example"));
            let (url, http, operator) = (app.url.clone(), app.http.clone(), Arc::clone(&operator));
            let done = at_once(2, |one| {
                let (activate, id, to) = (activate.clone(), id.clone(), to.clone());
                let (url, http, operator) = (url.clone(), http.clone(), Arc::clone(&operator));
                async move {
                    if one == 0 {
                        let set = operator.set_email(&order(Some(&id), None, &to)).await;
                        return set.is_ok();
                    }
                    let request = http
                        .post(format!("{url}/v1/email-change/activate"))
                        .header("Content-Type", "application/json")
                        .body(serde_json::json!({ "token": activate }).to_string());
                    let status = request.send().await.expect("an answer").status().as_u16();
                    assert!(matches!(status, 200 | 410), "{status}");
                    status == 200
                }
            })
            .await;
            assert!(done[0], "named by id, it always succeeds");
            // Whichever came first, what the operator wrote is what stays.
            assert_eq!(app.email_of(&ann).await, to);
        }
    }
}
