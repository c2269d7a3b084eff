//! What the service promises, as a program of one thread: two rows, and the steps on them.
//!
//! [`explains`] looks for an order of the operations of a history in which this program gives the
//! very answers that were seen (J. Wing, C. Gong: Testing and Verifying Concurrent Objects, 1993).
//! An operation may stand anywhere between its call and its answer. No such order: not linearizable.

use std::collections::HashSet;
use std::time::Instant;

/// Addresses, people and links by their numbers.
pub type Address = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nonce {
    /// Written by that operation, or there from the beginning.
    Fresh(usize),
    /// Written by a confirm.
    Derived { confirm: usize, to: Address },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    pub email: Address,
    /// Which password; each is another hash.
    pub password: usize,
    pub nonce: Nonce,
    /// The confirm link whose change opened the undo window.
    pub window: Option<usize>,
}

/// A confirm link and what it was bound to when it was made. The activate link of each confirm is
/// bound to the same, but for the nonce.
#[derive(Clone, Copy, Debug)]
pub struct ConfirmLink {
    pub who: usize,
    pub row: Row,
}

pub type State = [Row; 2];

#[derive(Clone, Copy, Debug)]
pub enum Call {
    Confirm {
        link: usize,
        to: Address,
    },
    Activate {
        link: usize,
        to: Address,
    },
    Cancel {
        who: usize,
        email: Address,
    },
    Undo {
        who: usize,
        email: Address,
        opened: usize,
    },
    /// The host writes another password hash.
    Password {
        who: usize,
    },
    /// Which address the row has.
    Look {
        who: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Accepted,
    Activated,
    AlreadyActive,
    Cancelled,
    Undone,
    AlreadyUndone,
    Written,
    Has(Address),
    Used,
    Taken,
    /// A refusal that promises nothing but that nothing was done.
    Unavailable,
}

#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub call: Call,
    pub seen: Seen,
    pub called: Instant,
    pub answered: Instant,
}

/// The one right answer, and what is then.
fn step(state: State, call: Call, number: usize, links: &[ConfirmLink]) -> (Seen, State) {
    let mut next = state;
    let fresh = Nonce::Fresh(number);
    let seen = match call {
        Call::Confirm { link, to } => {
            let ConfirmLink { who, row: made } = links[link];
            let (row, derived) = (&mut next[who], Nonce::Derived { confirm: link, to });
            let same = (row.email, row.password) == (made.email, made.password);
            if same && (row.nonce == made.nonce || row.nonce == derived) {
                row.nonce = derived;
                Seen::Accepted
            } else {
                Seen::Used
            }
        }
        Call::Activate { link, to } => {
            let ConfirmLink { who, row: made } = links[link];
            let (taken, row) = (state[1 - who].email == to, &mut next[who]);
            let same = (row.email, row.password) == (made.email, made.password);
            if row.email == to {
                Seen::AlreadyActive
            } else if !same || row.nonce != (Nonce::Derived { confirm: link, to }) {
                Seen::Used
            } else if taken {
                Seen::Taken
            } else {
                *row = Row {
                    email: to,
                    nonce: fresh,
                    window: row.window.or(Some(link)),
                    ..*row
                };
                Seen::Activated
            }
        }
        Call::Cancel { who, email } if state[who].email == email => {
            next[who].nonce = fresh;
            Seen::Cancelled
        }
        Call::Undo { who, email, opened }
            if state[who].window == Some(opened) || state[who].email == email =>
        {
            let row = &mut next[who];
            if row.email != email && state[1 - who].email == email {
                return (Seen::Taken, state);
            }
            let seen = if row.email == email {
                Seen::AlreadyUndone
            } else {
                Seen::Undone
            };
            let window = row.window.filter(|window| *window != opened);
            *row = Row {
                email,
                nonce: fresh,
                window,
                ..*row
            };
            seen
        }
        Call::Cancel { .. } | Call::Undo { .. } => Seen::Used,
        Call::Password { who } => {
            // Nought is the password that was there from the beginning.
            next[who].password = number + 1;
            Seen::Written
        }
        Call::Look { who } => Seen::Has(state[who].email),
    };
    (seen, next)
}

/// What is after an operation that was answered so; nothing if it cannot have been.
fn after(
    state: State,
    number: usize,
    operation: &Operation,
    links: &[ConfirmLink],
) -> Option<State> {
    let (right, next) = step(state, operation.call, number, links);
    match operation.seen {
        Seen::Unavailable => Some(state),
        // The row is read before the address is looked for: a link that dies between the two may
        // still be answered for the address. Neither answer does anything.
        Seen::Taken => is_taken(state, operation.call, links).then_some(state),
        seen => (seen == right).then_some(next),
    }
}

fn is_taken(state: State, call: Call, links: &[ConfirmLink]) -> bool {
    match call {
        Call::Activate { link, to } => state[1 - links[link].who].email == to,
        Call::Undo { who, email, .. } => state[1 - who].email == email,
        _ => false,
    }
}

/// Whether some order of these operations gives the answers that were seen.
pub fn explains(begin: State, history: &[Operation], links: &[ConfirmLink]) -> bool {
    assert!(history.len() <= 64, "a history is a set of bits");
    let mut tried = HashSet::new();
    search(begin, 0, history, links, &mut tried)
}

fn search(
    state: State,
    done: u64,
    history: &[Operation],
    links: &[ConfirmLink],
    tried: &mut HashSet<(u64, State)>,
) -> bool {
    let open = || (0..history.len()).filter(|number| done & (1 << number) == 0);
    let Some(first_answer) = open().map(|number| history[number].answered).min() else {
        return true;
    };
    if !tried.insert((done, state)) {
        return false;
    }
    open()
        // Whatever was called after another was answered comes after it.
        .filter(|number| history[*number].called <= first_answer)
        .any(|number| {
            after(state, number, &history[number], links)
                .is_some_and(|next| search(next, done | 1 << number, history, links, tried))
        })
}

mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const ROW: Row = Row {
        email: 0,
        password: 0,
        nonce: Nonce::Fresh(100),
        window: None,
    };
    const BEGIN: State = [ROW, Row { email: 1, ..ROW }];
    const LINKS: [ConfirmLink; 1] = [ConfirmLink { who: 0, row: ROW }];

    /// Each operation from one millisecond to another.
    fn explained(history: &[(Call, Seen, u64, u64)]) -> bool {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let history: Vec<Operation> = history
            .iter()
            .map(|(call, seen, called, answered)| Operation {
                call: *call,
                seen: *seen,
                called: at(*called),
                answered: at(*answered),
            })
            .collect();
        explains(BEGIN, &history, &LINKS)
    }

    const CONFIRM: Call = Call::Confirm { link: 0, to: 2 };
    const ACTIVATE: Call = Call::Activate { link: 0, to: 2 };
    const CANCEL: Call = Call::Cancel { who: 0, email: 0 };

    #[test]
    fn a_right_history_is_explained() {
        assert!(explained(&[
            (CONFIRM, Seen::Accepted, 0, 1),
            (ACTIVATE, Seen::AlreadyActive, 2, 9),
            (ACTIVATE, Seen::Activated, 3, 8),
            (CANCEL, Seen::Used, 4, 7),
            (
                Call::Undo {
                    who: 0,
                    email: 0,
                    opened: 0
                },
                Seen::Undone,
                10,
                11
            ),
            (ACTIVATE, Seen::Used, 12, 13),
        ]));
    }

    #[test]
    fn a_wrong_history_is_not() {
        let confirmed = (CONFIRM, Seen::Accepted, 0, 1);
        for wrong in [
            [
                confirmed,
                (ACTIVATE, Seen::Activated, 2, 9),
                (ACTIVATE, Seen::Activated, 3, 8),
            ],
            [
                confirmed,
                (CANCEL, Seen::Cancelled, 2, 4),
                (ACTIVATE, Seen::Activated, 5, 6),
            ],
            [
                confirmed,
                (CANCEL, Seen::Cancelled, 2, 4),
                (ACTIVATE, Seen::Activated, 3, 6),
            ],
            [
                confirmed,
                (Call::Password { who: 0 }, Seen::Written, 2, 3),
                (ACTIVATE, Seen::Activated, 4, 5),
            ],
            [
                confirmed,
                (Call::Confirm { link: 0, to: 3 }, Seen::Accepted, 0, 1),
                (ACTIVATE, Seen::Activated, 2, 3),
            ],
            [
                confirmed,
                (ACTIVATE, Seen::Activated, 2, 3),
                (Call::Look { who: 0 }, Seen::Has(0), 4, 5),
            ],
            [
                confirmed,
                (ACTIVATE, Seen::Used, 2, 3),
                (Call::Look { who: 0 }, Seen::Has(0), 4, 5),
            ],
        ] {
            assert!(!explained(&wrong), "{wrong:?}");
        }
        // At once, the cancel may have come second; for its link then was of the old address.
        assert!(explained(&[
            confirmed,
            (CANCEL, Seen::Used, 2, 6),
            (ACTIVATE, Seen::Activated, 3, 5)
        ]));
    }
}
