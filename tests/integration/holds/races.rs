//! Races: three replicas, one row, and everybody at once.
//!
//! Each race is a round of requests that start within the same few milliseconds, spread over the
//! replicas, and an oracle for what may have come of it in any order. The controls run the same
//! rounds on a database that is sabotaged at the start of the volley, and the oracle must notice.

use std::time::{Duration, Instant};

use super::cheap;
use super::pipe::Said;
use super::replicas::{LATEST, Replicas, Sabotage};
use super::volume::{figure, volume};
use crate::support::app::PASSWORD;

/// What was seen that must not be.
type Held = Result<(), String>;
/// Who was first, as the answers tell; one of the [`Race::orders`].
type Round = Result<&'static str, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Race {
    /// One activate link, pressed thirty-two times.
    OneWinner,
    /// Two people, one address.
    OneOwner,
    /// Two confirm links, three addresses.
    Confirms,
    ConfirmAndCancel,
    ActivateAndCancel,
    ActivateAndPassword,
    UndoAndActivate,
}

impl Race {
    /// What two sides it has: either may be first.
    fn orders(self) -> [&'static str; 2] {
        match self {
            Self::OneWinner => ["the first half", "the second half"],
            Self::OneOwner => ["ann", "bob"],
            Self::Confirms => ["the first link", "the second link"],
            Self::ConfirmAndCancel => ["confirm", "cancel"],
            Self::ActivateAndCancel => ["activate", "cancel"],
            Self::ActivateAndPassword => ["activate", "password"],
            Self::UndoAndActivate => ["undo", "activate"],
        }
    }

    /// The left one of them, or the right one.
    fn first(self, left: bool) -> &'static str {
        self.orders()[usize::from(!left)]
    }
}

impl Replicas {
    async fn play(&mut self, race: Race) -> Round {
        self.begin_round();
        match race {
            Race::OneWinner => self.one_winner().await,
            Race::OneOwner => self.one_owner().await,
            Race::Confirms => self.confirms().await,
            Race::ConfirmAndCancel => self.confirm_and_cancel().await,
            Race::ActivateAndCancel => self.activate_and_cancel().await,
            Race::ActivateAndPassword => self.activate_and_password().await,
            Race::UndoAndActivate => self.undo_and_activate().await,
        }
    }

    // The races.

    async fn one_winner(&mut self) -> Round {
        let (ann, wanted) = (self.person("ann").await, self.address("new"));
        let activate = self.app.activate_link(&ann, &wanted).await;
        let answers = self.volley(&vec![("activate", activate); 32]).await;
        every(&answers, |said| said.status == 200)?;
        let winners = answers
            .iter()
            .filter(|said| said.field("status") == "activated")
            .count();
        hold(winners == 1, || format!("{winners} won"))?;
        let now = self.app.email_of(&ann).await;
        hold(now == wanted, || format!("the address is {now}"))?;
        for (_, undo) in self.links("undo-email-change") {
            let state = self.app.state_of(&undo).await;
            hold(state == "usable", || {
                format!("an undo link that was mailed is {state}")
            })?;
        }
        let undo = self
            .link("undo-email-change", &ann.email)
            .ok_or("no notice")?;
        let undone = self.app.undo(&undo, PASSWORD).await;
        hold(undone.json["status"] == "undone", || undone.text.clone())?;
        Ok(Race::OneWinner.first(any(&answers[..16], "status", "activated")))
    }

    async fn one_owner(&mut self) -> Round {
        let (ann, bob, wanted) = (
            self.person("ann").await,
            self.person("bob").await,
            self.address("new"),
        );
        let mut shots = Vec::new();
        for person in [&ann, &bob] {
            let link = self.app.activate_link(person, &wanted).await;
            shots.extend(vec![("activate", link); 16]);
        }
        let answers = self.volley(&shots).await;
        every(&answers, |said| {
            said.status == 200 || said.code() == "email_taken"
        })?;
        let winners = answers
            .iter()
            .filter(|said| said.field("status") == "activated")
            .count();
        let sql = format!("SELECT CAST(count(*) AS text) FROM users WHERE email = '{wanted}'");
        let owners = self.app.database.text(&sql).await.unwrap_or_default();
        hold(winners == 1 && owners == "1", || {
            format!("{winners} won, {owners} own it")
        })?;
        Ok(Race::OneOwner.first(any(&answers[..16], "status", "activated")))
    }

    async fn confirms(&mut self) -> Round {
        let ann = self.person("ann").await;
        let first = self.app.confirm_link(&ann).await;
        self.app.clock.advance(Duration::from_secs(1));
        let second = self.app.confirm_link(&ann).await;
        let [a, b, c] = ["a", "b", "c"].map(|name| self.address(name));
        let shot = |link: &str, to: &str| ("confirm", format!("{link} {to}"));
        let shots =
            [[shot(&first, &a), shot(&first, &b), shot(&second, &c)].as_slice(); 8].concat();
        let answers = self.volley(&shots).await;
        every(&answers, |said| {
            said.status == 202 || said.code() == "link_used"
        })?;
        let mut promised: Vec<String> = answers
            .iter()
            .map(|said| said.field("sent_to"))
            .filter(|to| !to.is_empty())
            .collect();
        promised.sort_unstable();
        promised.dedup();
        hold(promised.len() == 1, || format!("promised to {promised:?}"))?;
        let live = self.live().await;
        hold(live == promised, || {
            format!("promised to {promised:?}, but {live:?} can activate")
        })?;
        Ok(Race::Confirms.first(promised != [c]))
    }

    async fn confirm_and_cancel(&mut self) -> Round {
        let (ann, wanted) = (self.person("ann").await, self.address("new"));
        let (confirm, cancel) = self.app.links_of_request(&ann).await;
        let mut shots = vec![("confirm", format!("{confirm} {wanted}")); 6];
        shots.extend(vec![("cancel", cancel); 3]);
        let answers = self.volley(&shots).await;
        every(&answers[..6], |said| {
            said.status == 202 || said.code() == "link_used"
        })?;
        // Three writers may be overtaken three times; never all of them.
        every(&answers[6..], |said| {
            said.status == 200 || said.code() == "database_unavailable"
        })?;
        hold(answers[6..].iter().any(|said| said.status == 200), || {
            "nothing was cancelled".to_owned()
        })?;
        let live = self.live().await;
        hold(live.is_empty(), || {
            format!("{live:?} can activate after a cancel")
        })?;
        let state = self.app.state_of(&confirm).await;
        hold(state == "used", || {
            format!("the confirm link is {state} after a cancel")
        })?;
        let confirmed = any(&answers[..6], "sent_to", &wanted);
        Ok(Race::ConfirmAndCancel.first(confirmed))
    }

    async fn activate_and_cancel(&mut self) -> Round {
        let (ann, wanted) = (self.person("ann").await, self.address("new"));
        let (confirm, cancel) = self.app.links_of_request(&ann).await;
        self.app.confirm(&confirm, PASSWORD, &wanted).await.ok(202);
        let activate = self
            .link("email-activation", &wanted)
            .ok_or("no activate link")?;
        let mut shots = vec![("activate", activate.clone()); 5];
        shots.extend(vec![("cancel", cancel); 3]);
        let answers = self.volley(&shots).await;
        every(&answers[..5], |said| {
            said.status == 200 || said.code() == "link_used"
        })?;
        every(&answers[5..], |said| {
            said.status == 200
                || ["link_used", "database_unavailable"].contains(&said.code().as_str())
        })?;
        let activated = answers[..5]
            .iter()
            .filter(|said| said.status == 200)
            .count();
        let cancelled = answers[5..]
            .iter()
            .filter(|said| said.status == 200)
            .count();
        hold((activated > 0) != (cancelled > 0), || {
            format!("{activated} activated and {cancelled} cancelled")
        })?;
        let (now, state) = (
            self.app.email_of(&ann).await,
            self.app.state_of(&activate).await,
        );
        let right = if activated > 0 {
            (wanted.as_str(), "already_active")
        } else {
            (ann.email.as_str(), "used")
        };
        hold((now.as_str(), state.as_str()) == right, || {
            format!("{activated} activated, {now}, {state}")
        })?;
        Ok(Race::ActivateAndCancel.first(activated > 0))
    }

    /// The host's statement tells which address it found: before or after the activation.
    async fn activate_and_password(&mut self) -> Round {
        let (ann, wanted) = (self.person("ann").await, self.address("new"));
        let activate = self.app.activate_link(&ann, &wanted).await;
        let (hash, delay) = (cheap::hash(&mut self.rng), self.rng.u64(0..LATEST));
        let sql = format!(
            "UPDATE users SET password_hash = '{hash}' WHERE id = '{}' RETURNING email",
            ann.id
        );
        let database = self.app.database.pool.clone();
        let host = async move {
            tokio::time::sleep(Duration::from_micros(delay)).await;
            crate::support::database::text(&database, &sql)
                .await
                .expect("a row")
        };
        let shots = vec![("activate", activate.clone()); 8];
        let (answers, found) = self.volley_beside(&shots, host).await;
        every(&answers, |said| {
            said.status == 200 || said.code() == "link_used"
        })?;
        let activated = answers
            .iter()
            .any(|said| said.field("status") == "activated");
        hold(activated == (found == wanted), || {
            format!("the host found {found}; activated: {activated}")
        })?;
        let now = self.app.email_of(&ann).await;
        hold((now == wanted) == activated, || {
            format!("activated: {activated}, but the address is {now}")
        })?;
        let state = self.app.state_of(&activate).await;
        hold(
            state == if activated { "already_active" } else { "used" },
            || format!("the activate link is {state}"),
        )?;
        Ok(Race::ActivateAndPassword.first(activated))
    }

    async fn undo_and_activate(&mut self) -> Round {
        let (ann, [b, c]) = (
            self.person("ann").await,
            ["b", "c"].map(|name| self.address(name)),
        );
        let undo = self.app.change(&ann, &b).await.ok_or("no undo link")?;
        let activate = self.app.activate_link(&ann, &c).await;
        let mut shots = vec![("activate", activate.clone()); 5];
        shots.extend(vec![("undo", undo); 3]);
        let answers = self.volley(&shots).await;
        every(&answers[..5], |said| {
            said.status == 200 || said.code() == "link_used"
        })?;
        every(&answers[5..], |said| {
            said.status == 200 || said.code() == "database_unavailable"
        })?;
        hold(answers[5..].iter().any(|said| said.status == 200), || {
            "nothing was undone".to_owned()
        })?;
        let (now, state) = (
            self.app.email_of(&ann).await,
            self.app.state_of(&activate).await,
        );
        hold((&now, state.as_str()) == (&ann.email, "used"), || {
            format!("after the undo: {now}, the activate link is {state}")
        })?;
        let activated = any(&answers[..5], "status", "activated");
        Ok(Race::UndoAndActivate.first(!activated))
    }
}

fn any(answers: &[Said], field: &str, value: &str) -> bool {
    answers.iter().any(|said| said.field(field) == value)
}

fn hold(is: bool, otherwise: impl FnOnce() -> String) -> Held {
    if is { Ok(()) } else { Err(otherwise()) }
}

fn every(answers: &[Said], may: impl Fn(&Said) -> bool) -> Held {
    let wrong = answers.iter().find(|said| !may(said));
    hold(wrong.is_none(), || format!("{wrong:?}"))
}

async fn run(race: Race, variable: &str, little: usize) {
    let (rounds, began) = (volume(variable, little), Instant::now());
    let Some(mut replicas) = Replicas::start(Sabotage::None).await else {
        return;
    };
    let mut firsts = race.orders().map(|who| (who, 0));
    for round in 0..rounds {
        let who = replicas.play(race).await;
        let who = who.unwrap_or_else(|seen| panic!("{race:?}, round {round}: {seen}"));
        for (_, times) in firsts.iter_mut().filter(|(other, _)| *other == who) {
            *times += 1;
        }
    }
    figure(format_args!(
        "races: {race:?}, {rounds} rounds on three replicas in {:.0} s, none broken; first were {firsts:?}",
        began.elapsed().as_secs_f64()
    ));
    // Sides that never overtake each other do not race.
    if rounds >= 1_000 {
        let least = rounds / 100;
        assert!(
            firsts.iter().all(|(_, times)| *times >= least),
            "{race:?}: {firsts:?}"
        );
    }
    replicas.close().await;
}

/// Until the oracle has noticed; it need not be the first round.
async fn must_be_noticed(race: Race, sabotage: Sabotage, by_saying: &str) {
    let Some(mut replicas) = Replicas::start(sabotage).await else {
        return;
    };
    let mut seen = Ok("");
    for _ in 0..50 {
        seen = replicas.play(race).await;
        if seen.is_err() {
            break;
        }
    }
    let noticed = seen.expect_err("the oracle must notice");
    assert!(noticed.contains(by_saying), "{sabotage:?}: {noticed}");
    replicas.close().await;
}

macro_rules! races {
    ($($name:ident: $race:ident, $variable:literal, $little:literal, $control:ident breaks $sabotage:ident: $words:literal;)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            run(Race::$race, $variable, $little).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $control() {
            must_be_noticed(Race::$race, Sabotage::$sabotage, $words).await;
        }
    )* };
}

races! {
    of_thirty_two_presses_one_wins: OneWinner, "SOAK_ROUNDS", 4, a_lost_write breaks Ignored: " won";
    of_two_who_claim_an_address_one_owns_it: OneOwner, "SOAK_CLAIMS", 4, two_rows_with_one_address breaks NotUnique: "2 own it";
    of_many_confirms_one_address_can_be_activated: Confirms, "SOAK_INTERLEAVINGS", 4, a_confirm_that_uses_nothing_up breaks Frozen: "promised to";
    a_cancel_that_was_acknowledged_stops_a_confirm: ConfirmAndCancel, "SOAK_INTERLEAVINGS", 4, a_cancel_that_stops_no_confirm breaks Frozen: "after a cancel";
    a_cancel_that_was_acknowledged_stops_an_activation: ActivateAndCancel, "SOAK_INTERLEAVINGS", 4, a_cancel_that_stops_no_activation breaks Frozen: " cancelled";
    a_new_password_stops_an_activation: ActivateAndPassword, "SOAK_INTERLEAVINGS", 4, a_new_password_that_stops_nothing breaks SamePassword: "found";
    an_undo_stops_an_activation: UndoAndActivate, "SOAK_INTERLEAVINGS", 4, an_undo_that_stops_nothing breaks NoUndo: "after the undo";
}
