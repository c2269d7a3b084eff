//! What a whole flow costs beside the two password checks that it cannot do without.
//!
//! The reference is what anybody would write, the library's own verification, in turns with the flows:
//! a check that follows a pause costs more than one of many in a row, wherever it is made, and what
//! else the machine does meets both alike.

use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, PasswordVerifier, Version};
use readdress::password::{self, Password};

use crate::service::{Service, cpu_ms};
use crate::walk::{Front, Person};
use crate::{PASSWORD, at};

const FLOWS: u32 = 200;
/// Between two raw verifications: as long as a flow has something else to do between its own.
const PAUSE: Duration = Duration::from_millis(3);
/// Request, confirm, and both addresses at the end.
const MAILS: usize = 4;

pub async fn run(service: &Service, front: &Front, person: &mut Person) {
    let raw = Raw::new();
    person.change(front).await;
    settle(front).await;
    let (mut flow, mut verified, mut reused) = (0.0, 0.0, 0.0);
    let mut took = Vec::new();
    let mut memory = vec![Block::default(); raw.params.block_count()];
    for _ in 0..FLOWS {
        let (before, began) = (service.cpu_ms(), Instant::now());
        person.change(front).await;
        took.push(began.elapsed().as_secs_f64() * 1e3);
        settle(front).await;
        flow += service.cpu_ms() - before;
        verified += raw.twice(|| raw.verify()).await;
        reused += raw.twice(|| raw.verify_in(&mut memory)).await;
    }
    let [flow, verified, reused] = [flow, verified, reused].map(|spent| spent / f64::from(FLOWS));
    println!(
        "two raw verifications {verified:>8.2} ms CPU (m=19456 t=2 p=1; {reused:.2} in memory that is used again)"
    );
    println!(
        "a flow                {flow:>8.2} ms CPU: {:.3} x two raw verifications ({:.3} x); {:.1} ms p50, {:.1} p99",
        flow / verified,
        flow / reused,
        at(&mut took, 50),
        at(&mut took, 99)
    );
}

/// Until the last mail is there, and what comes after it: the log, the connections put back.
async fn settle(front: &Front) {
    while front.sink.received().len() < MAILS {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    front.sink.forget();
}

/// A password check with nothing around it.
struct Raw {
    stored: String,
    argon2: Argon2<'static>,
    params: Params,
}

impl Raw {
    fn new() -> Self {
        let stored = password::hash(&Password::new(PASSWORD.to_owned())).expect("a hash");
        let params = Params::new(19_456, 2, 1, Some(32)).expect("parameters");
        Self {
            stored,
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone()),
            params,
        }
    }

    fn verify(&self) {
        let stored = PasswordHash::new(&self.stored).expect("a PHC string");
        let verified = self.argon2.verify_password(PASSWORD.as_bytes(), &stored);
        verified.expect("the same password");
    }

    fn verify_in(&self, memory: &mut [Block]) {
        let stored = PasswordHash::new(&self.stored).expect("a PHC string");
        let salt = stored.salt.as_ref().expect("a salt");
        let mut output = [0; 32];
        self.argon2
            .hash_password_into_with_memory(PASSWORD.as_bytes(), salt, &mut output, memory)
            .expect("a hash");
        assert_eq!(stored.hash.expect("a hash").as_bytes(), output);
    }

    async fn twice(&self, mut verify: impl FnMut()) -> f64 {
        let mut spent = 0.0;
        for _ in 0..2 {
            tokio::time::sleep(PAUSE).await;
            let before = cpu_ms("self");
            verify();
            // What a thread has spent since its last tick is counted when it gives way.
            tokio::time::sleep(Duration::from_millis(1)).await;
            spent += cpu_ms("self") - before;
        }
        spent
    }
}
