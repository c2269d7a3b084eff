//! Panics: at any boundary of any step, with everything secret in their words.

use serde_json::json;

use super::{REQUEST, Walker, canary};
use crate::holds::canaries::Canaries;
use crate::holds::cheap;
use crate::holds::deployment::Deployment;
use crate::holds::volume::seeded;

/// How many boundaries each step passes before it answers.
const BOUNDARIES: [(&str, usize); 5] = [
    ("request", 4),
    ("confirm", 4),
    ("activate", 4),
    ("cancel", 2),
    ("undo", 2),
];

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
    let each = BOUNDARIES
        .iter()
        .flat_map(|(step, last)| (1..=*last).map(|n| (*step, n)));
    for (step, boundary) in each {
        let [secret, password, old, new] = std::array::from_fn(|_| canary(&mut rng));
        canaries.add("what was being worked on", &secret);
        canaries.add("a password", &password);
        canaries.add("an address", &old);
        canaries.add("a new address", &new);
        let hash = cheap::hash_of(&password, &mut rng);
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
            deployment: &deployment,
            server: &calm,
            canaries: &mut canaries,
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
        assert_eq!(answer.status, 500, "{step}, {boundary}: {}", answer.text);
        answer.problem(500, "internal");
        let answers = walker.answers.concat();
        server.get("/healthz").await.ok(200);
        let stdout = server.stdout();
        let (code, log) = server.end("TERM").await;
        assert_eq!(code, Some(0), "it goes on, and ends when it is told to");
        assert_eq!(
            log.matches("panicked: this is a defect").count(),
            1,
            "{log}"
        );
        assert!(log.contains("boundary.rs"), "{log}");
        assert_eq!(
            canaries.found_in(&format!("{log}{stdout}{answers}")),
            [""; 0]
        );
    }
    calm.end("TERM").await;
    deployment.close().await;
}
