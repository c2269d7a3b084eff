//! Cancel: "this wasn't me".

use serde_json::json;

use crate::support::app::{PASSWORD, at_once};
use crate::support::{Fault, Options, story};

story! {
    async fn every_confirm_and_activate_link_that_is_out_dies(app) {
        let ann = app.person("ann@example.com").await;
        let (used, cancel) = app.links_of_request(&ann).await;
        app.confirm(&used, PASSWORD, "eve@evil.example").await.ok(202);
        let activate = app.mail_to("eve@evil.example").token("email-activation");
        let confirm = app.confirm_link(&ann).await;

        assert_eq!(app.cancel(&cancel).await.ok(200), &json!({ "status": "cancelled" }));
        app.activate(&activate).await.problem(410, "link_used");
        app.confirm(&confirm, PASSWORD, "eve@evil.example").await.problem(410, "link_used");
        app.confirm(&used, PASSWORD, "eve@evil.example").await.problem(410, "link_used");
        assert_eq!(app.email_of(&ann).await, "ann@example.com");
        let told = app.mails_after(4).await.pop().expect("a mail");
        assert_eq!((told.to.as_str(), told.subject.as_str()), ("ann@example.com", "The change of your e-mail address at app.example.com was stopped"));
    }
}

story! {
    async fn it_may_be_pressed_again_while_the_address_is_the_same(app) {
        let ann = app.person("ann@example.com").await;
        let (_, cancel) = app.links_of_request(&ann).await;
        app.cancel(&cancel).await.ok(200);
        let (later, _) = app.links_of_request(&ann).await;
        app.cancel(&cancel).await.ok(200);
        app.confirm(&later, PASSWORD, "ann@new.example").await.problem(410, "link_used");
        assert_eq!(app.state_of(&cancel).await, "usable");
    }
}

story! {
    async fn a_thief_cannot_outrun_it_by_changing_the_password(app) {
        let ann = app.person("ann@example.com").await;
        let (_, cancel) = app.links_of_request(&ann).await;
        app.set_password(&ann, PASSWORD).await;
        let confirm = app.confirm_link(&ann).await;
        app.cancel(&cancel).await.ok(200);
        app.confirm(&confirm, PASSWORD, "eve@evil.example").await.problem(410, "link_used");
    }
}

story! {
    async fn once_the_address_has_changed_it_is_over_and_the_undo_link_lives_on(app) {
        let ann = app.person("ann@example.com").await;
        let (_, cancel) = app.links_of_request(&ann).await;
        let undo = app.change(&ann, "ann@new.example").await.expect("an undo link");
        app.cancel(&cancel).await.problem(410, "link_used");
        let person = app.sign_in_as("ann@new.example", PASSWORD).await;
        let (_, cancel) = app.links_of_request(&person).await;
        app.cancel(&cancel).await.ok(200);
        assert_eq!(app.state_of(&undo).await, "usable");
        app.undo(&undo, PASSWORD).await.ok(200);
    }
}

story! {
    async fn it_succeeds_without_its_mail(app) {
        let ann = app.person("ann@example.com").await;
        let (confirm, cancel) = app.links_of_request(&ann).await;
        app.smtp.fault(Fault::HangUpAtOnce);
        app.cancel(&cancel).await.ok(200);
        assert_eq!(app.state_of(&confirm).await, "used");
    }
}

story! {
    async fn it_is_never_limited_but_its_mails_are(app with Options::limited(|quotas| {
        quotas.client = Some("10/1h".parse().expect("a quota"));
        quotas.recipient = Some("3/1h".parse().expect("a quota"));
        quotas.passwords = Some("1/1h".parse().expect("a quota"));
    })) {
        let ann = app.person("ann@example.com").await;
        let (_, cancel) = app.links_of_request(&ann).await;
        app.smtp.forget();
        for _ in 0..20 {
            app.cancel(&cancel).await.ok(200);
        }
        app.mails_after(3).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(app.mails().len(), 3);
    }
}

story! {
    async fn cancel_and_activate_at_once_never_end_in_both(app) {
        for round in 0..10 {
            let ann = app.person(&format!("ann{round}@example.com")).await;
            let (confirm, cancel) = app.links_of_request(&ann).await;
            let wanted = format!("new{round}@new.example");
            app.confirm(&confirm, PASSWORD, &wanted).await.ok(202);
            let activate = app.mail_to(&wanted).token("email-activation");
            let requests = [("cancel", cancel), ("activate", activate)];
            let statuses = at_once(2, |index| {
                let (step, token) = &requests[index];
                let request = app.http.post(format!("{}/v1/email-change/{step}", app.url))
                    .header("Content-Type", "application/json").body(json!({ "token": token }).to_string());
                async move { request.send().await.expect("an answer").status().as_u16() }
            }).await;
            assert!(statuses == [200, 410] || statuses == [410, 200], "{statuses:?}");
            let changed = app.email_of(&ann).await == wanted;
            assert_eq!(changed, statuses[1] == 200, "no activation after an acknowledged cancel");
        }
    }
}
