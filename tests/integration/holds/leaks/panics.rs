//! Panics: at any boundary of any step, with everything secret in their words.

use serde_json::json;

use super::{REQUEST, Walker, canary};
use crate::holds::canaries::Canaries;
use crate::holds::cheap;
use crate::holds::deployment::Deployment;
use crate::holds::volume::{figure, seeded};
use crate::support::process::Running;

const STEPS: [&str; 5] = ["request", "confirm", "activate", "cancel", "undo"];

/// Wherever it happens, and whatever it would say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_says_where_it_was_and_nothing_else() {
    let (mut deployment, mut rng, mut canaries) =
        (Deployment::on_sqlite().await, seeded(), Canaries::default());
    let (_, key) = deployment
        .shell
        .get("READDRESS_SECRET_KEYS")
        .split_once(':')
        .expect("a kid");
    canaries.add("the key", key);
    deployment.shell.set("RUST_LOG", "trace");
    let calm = deployment.shell.start("serve").await;
    let mut all = 0;
    for step in STEPS {
        let mut boundaries = 0;
        while panic_at(
            boundaries + 1,
            step,
            &mut deployment,
            &calm,
            &mut canaries,
            &mut rng,
        )
        .await
        {
            boundaries += 1;
        }
        // Before and after one mail or one write at least.
        assert!(boundaries >= 2, "{step}: {boundaries}");
        all += boundaries;
    }
    figure(format_args!(
        "panics: {all} boundaries of {} steps, nothing secret said",
        STEPS.len()
    ));
    calm.end("TERM").await;
    deployment.close().await;
}

/// Takes the step at a server that panics at that boundary; false if the step has not as many.
async fn panic_at(
    boundary: usize,
    step: &str,
    deployment: &mut Deployment,
    calm: &Running,
    canaries: &mut Canaries,
    rng: &mut fastrand::Rng,
) -> bool {
    let [secret, password, old, new] = std::array::from_fn(|_| canary(rng));
    canaries.add("what was being worked on", &secret);
    canaries.add("a password", &password);
    canaries.add("an address", &old);
    canaries.add("a new address", &new);
    let hash = cheap::hash_of(&password, rng);
    canaries.add("a password hash", hash.rsplit('$').next().expect("a hash"));
    let (old, new) = (format!("{old}@example.com"), format!("{new}@new.example"));
    deployment.add_with(&old, &hash).await;
    deployment
        .shell
        .set("STOP_AT_BOUNDARY", &boundary.to_string());
    deployment.shell.set(
        "PANIC_AT_BOUNDARY",
        &format!("of {secret} of {password} of {old}"),
    );
    let server = deployment.shell.start("serve").await;
    let mut walker = Walker {
        deployment,
        server: calm,
        canaries,
        answers: vec![],
        password,
    };
    let (access, link) = walker.walk_to(step, &old, &new).await;
    walker.server = &server;
    let answer = if step == "request" {
        let password = json!({ "password": walker.password });
        walker.post(REQUEST, Some(&access), password).await
    } else {
        walker.step(step, &link, &new).await
    };
    let answers = walker.answers.concat();
    server.get("/healthz").await.ok(200);
    let stdout = server.stdout();
    let (code, log) = server.end("TERM").await;
    assert_eq!(code, Some(0), "it goes on, and ends when it is told to");
    assert_eq!(
        canaries.found_in(&format!("{log}{stdout}{answers}")),
        [""; 0]
    );
    let panics = log.matches("panicked: this is a defect").count();
    assert!(panics <= 1, "{log}");
    if panics == 1 {
        assert!(log.contains("boundary.rs"), "{log}");
    }
    if !answer.status.is_success() {
        answer.problem(500, "internal");
        assert_eq!(panics, 1, "{step}, {boundary}: {log}");
    }
    panics == 1
}
