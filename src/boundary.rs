//! The boundaries between side effects, where a test stops the process and kills it, or has it panic.
//!
//! Whatever a step does to the world goes through [`Users::write`](crate::users) or
//! [`Mailer::send`](crate::mailer::Mailer::send), and both pass a boundary before and after. So no
//! step can have one that the tests of crashes do not know, and none of them says a word of it. A
//! crate for fail points would bring names, a registry and actions; all that is asked for here is to
//! stand still at the n-th, or to panic there.
//!
//! Only with the feature `boundaries`, which nothing but our own tests turns on. Without it, a
//! boundary is nothing.

/// Goes on.
#[cfg(not(feature = "boundaries"))]
pub(crate) fn pass() -> std::future::Ready<()> {
    std::future::ready(())
}

#[cfg(feature = "boundaries")]
pub(crate) use stop::pass;

#[cfg(feature = "boundaries")]
mod stop {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// At which boundary the process stands still, from 1.
    static STOP_AT: LazyLock<Option<usize>> =
        LazyLock::new(|| std::env::var("STOP_AT_BOUNDARY").ok()?.parse().ok());
    /// What it says if it is to panic there instead.
    static LAST_WORDS: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("PANIC_AT_BOUNDARY").ok());
    static PASSED: AtomicUsize = AtomicUsize::new(0);

    /// Goes on, or never.
    pub(crate) async fn pass() {
        let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        if *STOP_AT == Some(number) {
            if let Some(words) = &*LAST_WORDS {
                std::panic::panic_any(words.clone());
            }
            tracing::warn!(number, "stopped at a boundary");
            std::future::pending::<()>().await;
        }
    }
}
