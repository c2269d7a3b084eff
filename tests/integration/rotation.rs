//! How links end: with their time, with what they were bound to, and with the key that made them.

use std::time::Duration;

use readdress::keys;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::links::{DOORS, Stage, is_refused, is_used, knock};
use crate::support::app::{HOUR, PASSWORD, START};
use crate::support::{Answer, Person, TestApp, forge, story};

const SECOND: Duration = Duration::from_secs(1);

// Time.

/// Walks to the last second of a link, where it works, and one further, where nothing does.
async fn ends_at(app: &TestApp, end: i64, door: &str, unused: &str, used: &str) {
    assert_eq!(forge::open(unused).claims["exp"], end);
    let rest = u64::try_from(end - 1 - app.clock.seconds()).expect("a time to come");
    app.clock.advance(Duration::from_secs(rest));
    assert_eq!(app.state_of(unused).await, "usable");
    let worked = knock(app, &app.url, door, used).await;
    assert!(worked.status.is_success(), "{}", worked.text);
    app.clock.advance(SECOND);
    let state = app.state().await;
    for link in [unused, used] {
        let late = knock(app, &app.url, door, link).await;
        late.problem(410, "link_expired");
        assert_eq!(app.state_of(link).await, "expired");
    }
    assert_eq!(app.state().await, state);
}

async fn two_people(app: &TestApp) -> (Person, Person) {
    let ann = app.person("ann@example.com").await;
    (ann, app.person("bob@example.com").await)
}

story! {
    async fn a_confirm_link_ends_an_hour_after_the_request(app) {
        let (ann, bob) = two_people(app).await;
        let (anns, bobs) = (app.confirm_link(&ann).await, app.confirm_link(&bob).await);
        ends_at(app, START + 3_600, "confirm", &anns, &bobs).await;
    }
}

story! {
    async fn an_activate_link_ends_a_day_after_the_confirm_even_where_it_was_used(app) {
        let (ann, bob) = two_people(app).await;
        app.clock.advance(HOUR / 6);
        let anns = app.activate_link(&ann, "ann@new.example").await;
        let bobs = app.activate_link(&bob, "bob@new.example").await;
        ends_at(app, START + 600 + 24 * 3_600, "activate", &anns, &bobs).await;
        assert_eq!(app.email_of(&ann).await, "ann@example.com");
        assert_eq!(app.email_of(&bob).await, "bob@new.example");
    }
}

story! {
    async fn a_cancel_link_ends_when_no_link_that_it_kills_can_still_live(app) {
        let (ann, bob) = two_people(app).await;
        let (_, anns) = app.links_of_request(&ann).await;
        let (_, bobs) = app.links_of_request(&bob).await;
        ends_at(app, START + 25 * 3_600, "cancel", &anns, &bobs).await;
    }
}

story! {
    async fn an_undo_link_ends_with_its_window_however_late_the_change_was_activated(app) {
        let (ann, bob) = two_people(app).await;
        let (anns, bobs) = (app.confirm_link(&ann).await, app.confirm_link(&bob).await);
        app.clock.advance(HOUR / 6);
        app.confirm(&anns, PASSWORD, "ann@new.example").await.ok(202);
        app.confirm(&bobs, PASSWORD, "bob@new.example").await.ok(202);
        app.clock.advance(2 * HOUR);
        for new_email in ["ann@new.example", "bob@new.example"] {
            app.activate(&app.mail_to(new_email).token("email-activation")).await.ok(200);
        }
        let undo_of = |person: &Person| app.mail_to(&person.email).token("undo-email-change");
        ends_at(app, START + (1 + 24 + 7 * 24) * 3_600, "undo", &undo_of(&ann), &undo_of(&bob)).await;
        assert_eq!(app.email_of(&ann).await, "ann@new.example");
        assert_eq!(app.email_of(&bob).await, "bob@example.com");
    }
}

story! {
    async fn an_access_token_ends_after_a_quarter_of_an_hour(app) {
        let ann = app.person("ann@example.com").await;
        app.clock.advance(Duration::from_secs(899));
        app.me(&ann.access).await.ok(200);
        app.clock.advance(SECOND);
        app.me(&ann.access).await.problem(401, "unauthenticated");
    }
}

// What a link is bound to.

/// Every link of a change: those that made it, and those that were left behind.
struct Kept {
    confirms: Vec<(String, String)>,
    activates: Vec<String>,
    undo: Option<String>,
}

impl Kept {
    async fn of_a_change(app: &TestApp, ann: &Person, new_email: &str) -> Self {
        app.clock.advance(SECOND);
        let unused = app.confirm_link(ann).await;
        let (mut confirms, mut activates) = (vec![(unused, new_email.to_owned())], Vec::new());
        for address in ["ann@overtaken.example", new_email] {
            app.clock.advance(SECOND);
            let confirm = app.confirm_link(ann).await;
            app.confirm(&confirm, PASSWORD, address).await.ok(202);
            confirms.push((confirm, address.to_owned()));
            activates.push(app.mail_to(address).token("email-activation"));
        }
        let (old_email, before) = (app.email_of(ann).await, app.mails().len());
        let done = app.activate(&activates[1]).await;
        assert_eq!(done.ok(200)["status"], "activated");
        app.mails_after(before + 2).await;
        let undo = app.mail_to(&old_email).find_token("undo-email-change");
        Self {
            confirms,
            activates,
            undo,
        }
    }

    fn undo(&self) -> &str {
        self.undo.as_deref().expect("an undo link")
    }

    /// No confirm or activate link holds.
    async fn is_dead(&self, app: &TestApp) {
        for (confirm, address) in &self.confirms {
            let again = app.confirm(confirm, PASSWORD, address).await;
            again.problem(410, "link_used");
            is_used(app, "confirm", confirm).await;
        }
        for activate in &self.activates {
            is_used(app, "activate", activate).await;
        }
    }
}

async fn undo(app: &TestApp, link: &str) {
    let before = app.mails().len();
    assert_eq!(app.undo(link, PASSWORD).await.ok(200)["status"], "undone");
    app.mails_after(before + 1).await;
}

story! {
    async fn nothing_revives_when_an_undo_brings_the_address_back(app) {
        let ann = app.person("ann@example.com").await;
        let first = Kept::of_a_change(app, &ann, "ann@new.example").await;
        undo(app, first.undo()).await;
        first.is_dead(app).await;
        assert_eq!(app.state_of(first.undo()).await, "already_undone");

        let second = Kept::of_a_change(app, &ann, "ann@other.example").await;
        first.is_dead(app).await;
        is_used(app, "undo", first.undo()).await;

        undo(app, second.undo()).await;
        first.is_dead(app).await;
        second.is_dead(app).await;
        assert_eq!(app.email_of(&ann).await, "ann@example.com");

        // The same change once more: the first undo link is not of this window.
        let third = Kept::of_a_change(app, &ann, "ann@new.example").await;
        is_used(app, "undo", first.undo()).await;
        is_used(app, "undo", second.undo()).await;
        assert_eq!(app.state_of(third.undo()).await, "usable");
    }
}

story! {
    async fn nothing_revives_when_a_second_change_brings_the_address_back(app) {
        let ann = app.person("ann@example.com").await;
        let away = Kept::of_a_change(app, &ann, "ann@new.example").await;
        let back = Kept::of_a_change(app, &ann, "ann@example.com").await;
        assert_eq!(app.email_of(&ann).await, "ann@example.com");
        away.is_dead(app).await;
        assert!(back.undo.is_none(), "the window of the first change runs on");

        let again = Kept::of_a_change(app, &ann, "ann@new.example").await;
        back.is_dead(app).await;
        assert!(again.undo.is_none());
        undo(app, away.undo()).await;
        away.is_dead(app).await;
        again.is_dead(app).await;
    }
}

story! {
    async fn a_new_password_kills_confirm_and_activate_and_undo_asks_for_the_old_one(app) {
        let stage = Stage::set(app).await;
        app.set_password(&stage.ann, "another horse").await;
        for door in ["confirm", "activate"] {
            is_used(app, door, stage.token(door)).await;
        }
        let confirmed = app.confirm(stage.token("confirm"), "another horse", "ann@else.example").await;
        confirmed.problem(410, "link_used");
        assert_eq!(app.state_of(stage.token("cancel")).await, "usable");
        let before = app.state().await;
        app.undo(stage.token("undo"), "another horse").await.problem(403, "wrong_password");
        assert_eq!(app.state().await, before);
        undo(app, stage.token("undo")).await;
        assert_eq!(app.email_of(&stage.ann).await, "ann@example.com");
    }
}

story! {
    async fn an_address_that_the_host_changes_in_the_table_kills_what_was_bound_to_it(app) {
        let stage = Stage::set(app).await;
        let changed = app.database.execute("UPDATE users SET email = 'ann@host.example'").await;
        assert_eq!(changed, 1);
        for door in ["confirm", "activate", "cancel"] {
            is_used(app, door, stage.token(door)).await;
        }
        undo(app, stage.token("undo")).await;
    }
}

story! {
    async fn links_that_were_used_or_undone_stay_so_when_the_host_puts_the_address_back(app) {
        let ann = app.person("ann@example.com").await;
        let kept = Kept::of_a_change(app, &ann, "ann@new.example").await;
        app.database.execute("UPDATE users SET email = 'ann@example.com'").await;
        kept.is_dead(app).await;

        app.database.execute("UPDATE users SET email = 'ann@new.example'").await;
        let announced = app.activate_link(&ann, "ann@third.example").await;
        undo(app, kept.undo()).await;
        app.database.execute("UPDATE users SET email = 'ann@new.example'").await;
        is_used(app, "activate", &announced).await;
    }
}

story! {
    async fn a_confirm_is_not_the_same_again_with_another_link_password_or_address(app) {
        let ann = app.person("ann@example.com").await;
        let earlier = app.confirm_link(&ann).await;
        app.clock.advance(SECOND);
        let confirm = app.confirm_link(&ann).await;
        for _ in 0..2 {
            knock(app, &app.url, "confirm", &confirm).await.ok(202);
        }
        is_used(app, "confirm", &earlier).await;
        let hash = app.database.text("SELECT password_hash FROM users").await.expect("a hash");
        app.set_password(&ann, PASSWORD).await;
        is_used(app, "confirm", &confirm).await;
        let restored = format!("UPDATE users SET password_hash = '{hash}', email = 'ann@host.example'");
        app.database.execute(&restored).await;
        is_used(app, "confirm", &confirm).await;
    }
}

story! {
    async fn a_nonce_that_the_host_writes_kills_confirm_and_activate(app) {
        let stage = Stage::set(app).await;
        for nonce in ["email_change_nonce + 1", "0", "NULL"] {
            app.database.execute(&format!("UPDATE users SET email_change_nonce = {nonce}")).await;
            for door in ["confirm", "activate"] {
                is_used(app, door, stage.token(door)).await;
            }
        }
        for door in ["cancel", "undo"] {
            assert_eq!(app.state_of(stage.token(door)).await, "usable");
        }
        app.database.execute("UPDATE users SET undo_opened_at = undo_opened_at + 1").await;
        is_used(app, "undo", stage.token("undo")).await;
        app.database.execute("UPDATE users SET undo_opened_at = NULL").await;
        is_used(app, "undo", stage.token("undo")).await;
    }
}

story! {
    async fn no_token_outlives_its_user(app) {
        let stage = Stage::set(app).await;
        app.database.execute("DELETE FROM users").await;
        for (door, token) in &stage.tokens {
            is_refused(app, &app.url, door, token, "gone").await;
            is_refused(app, &app.url, "inspect", token, "gone").await;
        }
    }
}

// Keys.

fn new_key() -> String {
    keys::generate().expect("random").to_string()
}

fn kid_of(text: &str) -> &str {
    text.split_once(':').expect("a kid").0
}

fn made_with(token: &str) -> String {
    let header = forge::open(token).header;
    header["kid"].as_str().expect("a kid").to_owned()
}

/// A change and its undo, each step at the next of these processes; the tokens made on the way.
async fn journey(app: &TestApp, urls: [&str; 5], email: &str) -> [String; 4] {
    app.add_user(email, PASSWORD).await;
    let session = app.http.post(format!("{}/v1/session", urls[0]));
    let body = json!({ "email": email, "password": PASSWORD });
    let session = ask(app, session, "/v1/session", &body).await;
    let access = session.ok(200)["access_token"].as_str().expect("a token");

    let path = "/v1/email-change/request";
    let request = app.http.post(format!("{}{path}", urls[1]));
    let request = request.header("Authorization", format!("Bearer {access}"));
    let requested = ask(app, request, path, &json!({ "password": PASSWORD })).await;
    requested.ok(202);

    let confirm = app.mail_to(email).token("new-email");
    let confirmed = knock(app, urls[2], "confirm", &confirm).await;
    let new_email = confirmed.ok(202)["sent_to"].as_str().expect("an address");
    let activate = app.mail_to(new_email).token("email-activation");
    let activated = knock(app, urls[3], "activate", &activate).await;
    assert_eq!(activated.ok(200)["status"], "activated");
    let undo = app.mail_to(email).token("undo-email-change");
    let undone = knock(app, urls[4], "undo", &undo).await;
    assert_eq!(undone.ok(200)["status"], "undone");
    [access.to_owned(), confirm, activate, undo]
}

async fn ask(app: &TestApp, request: RequestBuilder, path: &str, body: &Value) -> Answer {
    let request = request.header("Content-Type", "application/json");
    app.receive(request.body(body.to_string()), "POST", path)
        .await
}

story! {
    async fn a_key_is_rotated_in_two_rollouts_and_nobody_notices(app) {
        let (old, new) = (app.options.keys.clone(), new_key());
        let last = app.replica(&format!("{old},{new}")).await;
        let first = app.replica(&format!("{new},{old}")).await;
        let alone = app.replica(&new).await;
        for (name, [a, b]) in [
            ("before", [&app.url, &last.url]),
            ("between", [&last.url, &first.url]),
            ("after", [&first.url, &alone.url]),
        ] {
            for (index, urls) in [[a, b, a, b, a], [b, a, b, a, b]].into_iter().enumerate() {
                let made = journey(app, urls.map(String::as_str), &format!("{name}{index}@example.com")).await;
                for (url, token) in urls.iter().zip(&made) {
                    let signs = if [&app.url, &last.url].contains(url) { &old } else { &new };
                    assert_eq!(made_with(token), kid_of(signs), "{name}");
                }
            }
        }
    }
}

story! {
    async fn links_of_the_old_key_hold_while_it_is_in_the_ring(app) {
        let stage = Stage::set(app).await;
        let first = app.replica(&format!("{},{}", new_key(), app.options.keys)).await;
        for (door, token) in &stage.tokens {
            let seen = if *door == "me" { "me" } else { "inspect" };
            let answer = knock(app, &first.url, seen, token).await;
            answer.ok(200);
            if *door != "me" {
                assert_eq!(answer.field("state"), "usable", "{door}");
            }
        }
        for (door, status) in [("activate", "activated"), ("undo", "undone")] {
            let answer = knock(app, &first.url, door, stage.token(door)).await;
            assert_eq!(answer.ok(200)["status"], status);
        }
        assert_eq!(app.email_of(&stage.ann).await, "ann@example.com");
    }
}

story! {
    async fn the_same_confirm_at_replicas_that_sign_with_different_keys_is_one(app) {
        let ann = app.person("ann@example.com").await;
        let first = app.replica(&format!("{},{}", new_key(), app.options.keys)).await;
        let last = app.replica(&format!("{},{}", app.options.keys, new_key())).await;
        let confirm = app.confirm_link(&ann).await;
        knock(app, &last.url, "confirm", &confirm).await.ok(202);
        let (state, by_old) = (app.state().await, app.mail_to("somebody@third.example").token("email-activation"));
        knock(app, &first.url, "confirm", &confirm).await.ok(202);
        let by_new = app.mail_to("somebody@third.example").token("email-activation");
        assert_eq!(app.state().await, state);
        assert_ne!(made_with(&by_old), made_with(&by_new));
        assert_eq!(knock(app, &first.url, "activate", &by_new).await.ok(200)["status"], "activated");
        assert_eq!(knock(app, &first.url, "activate", &by_old).await.ok(200)["status"], "already_active");
    }
}

story! {
    async fn a_retired_key_takes_everything_made_with_it_along(app) {
        let stage = Stage::set(app).await;
        let key = new_key();
        let (_, bytes) = key.split_once(':').expect("a key");
        let renamed = format!("renamed:{}", app.options.keys.split_once(':').expect("a key").1);
        for (ring, why) in [
            (key.clone(), "another key"),
            (format!("{}:{bytes}", kid_of(&app.options.keys)), "another key of the same name"),
            (renamed, "the same key by another name"),
        ] {
            let replica = app.replica(&ring).await;
            for (_, token) in &stage.tokens {
                for door in DOORS {
                    is_refused(app, &replica.url, door, token, why).await;
                }
            }
        }
        stage.is_untouched().await;
    }
}

story! {
    async fn a_link_is_checked_with_the_key_that_it_names_and_no_other(app) {
        let stage = Stage::set(app).await;
        let both = format!("{},{}", app.options.keys, new_key());
        let replica = app.replica(&both).await;
        let ring = keys::KeyRing::parse(&both).expect("a ring");
        let other = ring.find(kid_of(both.split_once(',').expect("two keys").1)).expect("the other key");
        for (door, token) in &stage.tokens {
            let mut renamed = forge::open(token);
            let own_secret = if *door == "me" { ring.signing().access_secret() } else { ring.signing().signing_secret() };
            let other_secret = if *door == "me" { other.access_secret() } else { other.signing_secret() };
            is_refused(app, &replica.url, door, &renamed.sign(other_secret), "our kid, the other's secret").await;
            renamed.header["kid"] = other.kid().into();
            is_refused(app, &replica.url, door, &renamed.sign(own_secret), "the other's kid, our secret").await;

            // Well signed by the other key, but fingerprint and seal are of ours.
            let resigned = renamed.sign(other_secret);
            match *door {
                "me" => { knock(app, &replica.url, "me", &resigned).await.ok(200); }
                "undo" => is_refused(app, &replica.url, "undo", &resigned, "sealed by our key").await,
                _ => { knock(app, &replica.url, door, &resigned).await.problem(410, "link_used"); }
            }
        }
        stage.is_untouched().await;
    }
}
