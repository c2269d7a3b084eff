//! The mails and languages there are: what is embedded in the binary, from `templates/`.
//!
//! To add a mail, add its line here, its two files to every language, its function in
//! [`mail`](super) and its sample in [`proof`](super::proof): the tests say what is missing.

/// A file of templates: its name, and what is in it.
pub(super) type Embedded = (&'static str, &'static str);

/// One mail of the story.
#[derive(Debug)]
pub struct Kind {
    /// The name of its two templates, without `.txt` and `.html`.
    pub name: &'static str,
    /// What its templates can say, besides [`COMMON`].
    pub variables: &'static [&'static str],
}

/// What every template of a mail can say.
pub const COMMON: &[&str] = &[
    "product",
    "support",
    "logo",
    "language",
    "footer",
    "button_help",
];

/// What each language has besides mails, as plain text, and what it can say. These are rendered
/// first: the mails find them in variables.
pub const PHRASES: &[Kind] = &[
    Kind {
        name: "date",
        variables: &["day", "month", "year", "time"],
    },
    Kind {
        name: "footer",
        variables: &["product", "support"],
    },
    Kind {
        name: "button",
        variables: &[],
    },
];

/// What languages share: no words are in them.
pub(super) const SHARED: [Embedded; 2] = [
    (
        "layout.html",
        include_str!("../../../templates/layout.html"),
    ),
    (
        "button.html",
        include_str!("../../../templates/button.html"),
    ),
];

/// A language that is built in.
pub(super) struct BuiltIn {
    pub(super) tag: &'static str,
    pub(super) files: &'static [Embedded],
}

macro_rules! embedded {
    ($tag:literal, $name:expr) => {
        (
            $name,
            include_str!(concat!("../../../templates/", $tag, "/", $name)),
        )
    };
}

macro_rules! language {
    ($tag:literal [$($mail:literal)+]) => {
        BuiltIn {
            tag: $tag,
            files: &[
                embedded!($tag, "date.txt"),
                embedded!($tag, "footer.txt"),
                embedded!($tag, "button.txt"),
                $(
                    embedded!($tag, concat!($mail, ".txt")),
                    embedded!($tag, concat!($mail, ".html")),
                )+
            ],
        }
    };
}

macro_rules! languages {
    ($mails:tt: $($tag:literal)+) => {
        /// English first.
        pub(super) const LANGUAGES: &[BuiltIn] = &[$(language!($tag $mails)),+];
    };
}

macro_rules! mails {
    ($($name:literal: $variables:expr,)+) => {
        /// Every mail of the story.
        pub const MAILS: &[Kind] = &[$(Kind { name: $name, variables: &$variables }),+];

        languages! { [$($name)+]: "en" "de" "es" "fr" "ja" "pl" "pt-BR" "zh-Hans" }
    };
}

mails! {
    "confirm": ["link", "expires", "cancel_link", "asked", "client"],
    "activate": ["link", "expires", "current"],
    "taken": ["asked"],
    "changing": ["undo_link", "undo_until", "changed_before", "asked", "client"],
    "changed": [],
    "cancelled": [],
    "undone": [],
    "set_by_operator": ["changed"],
}
