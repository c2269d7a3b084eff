//! Each step by itself: the same step of many people in a row, so that none pays for the cold memory
//! that a password check of another step has left behind.

use std::time::Duration;

use crate::at;
use crate::service::{Service, add};
use crate::walk::Front;

const PEOPLE: u32 = 100;
/// What follows the last answer: mails that nothing depends on, the log.
const AFTERMATH: Duration = Duration::from_millis(100);

struct Somebody {
    from: String,
    to: String,
    access: String,
}

pub async fn run(service: &Service, front: &Front, database_url: &str) {
    let mut people: Vec<Somebody> = (0..PEOPLE)
        .map(|number| Somebody {
            from: format!("step{number}@example.com"),
            to: format!("step{number}@new.example"),
            access: String::new(),
        })
        .collect();
    for one in &people {
        add(database_url, &one.from);
    }
    let row = Row::begun(service);
    let mut took = Vec::new();
    for one in &mut people {
        let (access, milliseconds) = front.sign_in(&one.from).await;
        one.access = access;
        took.push(milliseconds);
    }
    row.print("sign in", took).await;
    for step in [
        "request", "confirm", "inspect", "activate", "undo", "again", "cancel",
    ] {
        let row = Row::begun(service);
        let mut took = Vec::new();
        for one in &people {
            took.push(match step {
                "confirm" => front.confirm(&one.from, &one.to).await,
                "inspect" => front.inspect(&one.to).await,
                "activate" => front.activate(&one.to).await,
                "undo" => front.undo(&one.from).await,
                "cancel" => front.cancel(&one.from).await,
                // Once more, for there to be something to cancel.
                _ => front.request(&one.access).await,
            });
        }
        row.print(step, took).await;
    }
    front.sink.forget();
}

/// What the processor had done before.
struct Row<'a> {
    service: &'a Service,
    before: f64,
}

impl<'a> Row<'a> {
    fn begun(service: &'a Service) -> Self {
        Self {
            service,
            before: service.cpu_ms(),
        }
    }

    async fn print(self, step: &str, mut took: Vec<f64>) {
        tokio::time::sleep(AFTERMATH).await;
        let each = (self.service.cpu_ms() - self.before) / f64::from(PEOPLE);
        if step == "again" {
            return;
        }
        println!(
            "  {step:<19} {each:>8.2} ms CPU, {:.2} ms p50, {:.2} p99",
            at(&mut took, 50),
            at(&mut took, 99)
        );
    }
}
