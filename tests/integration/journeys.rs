//! The story across its steps.

use crate::support::app::PASSWORD;
use crate::support::story;

story! {
    async fn an_address_is_changed_end_to_end(app) {
        let ann = app.person("ann@example.com").await;

        let requested = app.request(&ann.access, PASSWORD).await;
        assert_eq!(requested.ok(202)["sent_to"], "a***@example.com");
        let confirm = app.mail_to("ann@example.com").token("new-email");

        let confirmed = app.confirm(&confirm, PASSWORD, "Ann@New.example").await;
        assert_eq!(confirmed.ok(202)["sent_to"], "ann@new.example");
        assert_eq!(app.email_of(&ann).await, "ann@example.com");

        let activate = app.mail_to("ann@new.example").token("email-activation");
        let activated = app.activate(&activate).await;
        assert_eq!(activated.ok(200)["status"], "activated");
        assert_eq!(activated.json["email"], "ann@new.example");

        app.sign_in("ann@example.com", PASSWORD).await.problem(401, "unauthenticated");
        app.sign_in("ann@new.example", PASSWORD).await.ok(200);
        assert_eq!(app.me(&ann.access).await.ok(200)["email"], "ann@new.example");

        let subjects: Vec<String> = app.mails_after(4).await.into_iter().map(|mail| mail.subject).collect();
        assert_eq!(subjects, [
            "Change your e-mail address at app.example.com",
            "Confirm this e-mail address for app.example.com",
            "Your e-mail address at app.example.com is being changed",
            "Your e-mail address at app.example.com was changed",
        ]);
    }
}
