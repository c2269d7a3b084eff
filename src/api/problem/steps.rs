//! Every error of every step, as a problem. What goes wrong inside is logged here with its whole
//! chain, and answered with the request id alone.

use super::{Code, Problem};
use crate::access::{AccessError, SignInError};
use crate::email_change::activate::ActivateError;
use crate::email_change::cancel::CancelError;
use crate::email_change::confirm::ConfirmError;
use crate::email_change::inspect::InspectError;
use crate::email_change::request::RequestError;
use crate::email_change::undo::UndoError;
use crate::email_change::{Defect, LinkRefused, PasswordRefused, chain};
use crate::mailer::DeliveryError;
use crate::users::DatabaseError;

impl From<LinkRefused> for Problem {
    fn from(refused: LinkRefused) -> Self {
        Self::new(match refused {
            LinkRefused::Invalid => Code::InvalidLink,
            LinkRefused::Expired => Code::LinkExpired,
            LinkRefused::Used => Code::LinkUsed,
        })
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        tracing::error!(error = chain(&error), "database unavailable");
        Self::new(Code::DatabaseUnavailable)
    }
}

impl From<DeliveryError> for Problem {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Undeliverable => Self::new(Code::Undeliverable),
            DeliveryError::Unavailable(_) => {
                tracing::error!(error = chain(&error), "mail unavailable");
                Self::new(Code::MailUnavailable)
            }
        }
    }
}

impl From<Defect> for Problem {
    fn from(defect: Defect) -> Self {
        tracing::error!(error = chain(&defect), "internal error");
        Self::new(Code::Internal)
    }
}

impl From<PasswordRefused> for Problem {
    fn from(refused: PasswordRefused) -> Self {
        match refused {
            PasswordRefused::Wrong => Self::of_field(Code::WrongPassword, "/password"),
            PasswordRefused::Limited(wait) => Self::limited(wait),
            PasswordRefused::Overloaded(_) => Self::new(Code::Overloaded),
            PasswordRefused::Database(error) => error.into(),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Unauthenticated => Self::unauthenticated(true),
            // Why is in the log; the token may well be good, so nobody is sent to sign in again.
            AccessError::NoKeys => Self::new(Code::Overloaded),
            AccessError::Database(error) => error.into(),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Off => Self::new(Code::NotFound),
            SignInError::Unauthenticated => Self::unauthenticated(false),
            SignInError::Limited(wait) => Self::limited(wait),
            SignInError::Overloaded(_) => Self::new(Code::Overloaded),
            SignInError::Database(error) => error.into(),
        }
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Password(refused) => refused.into(),
            RequestError::Delivery(error) => error.into(),
            RequestError::Defect(defect) => defect.into(),
        }
    }
}

impl From<ConfirmError> for Problem {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::Link(refused) => refused.into(),
            ConfirmError::InvalidEmail(_) => Self::of_field(Code::InvalidEmail, "/new_email"),
            ConfirmError::SameEmail => Self::of_field(Code::SameEmail, "/new_email"),
            ConfirmError::Password(refused) => refused.into(),
            ConfirmError::Delivery(DeliveryError::Undeliverable) => {
                Self::of_field(Code::Undeliverable, "/new_email")
            }
            ConfirmError::Delivery(error) => error.into(),
            ConfirmError::Database(error) => error.into(),
            ConfirmError::Defect(defect) => defect.into(),
        }
    }
}

impl From<ActivateError> for Problem {
    fn from(error: ActivateError) -> Self {
        match error {
            ActivateError::Link(refused) => refused.into(),
            ActivateError::EmailTaken => Self::new(Code::EmailTaken),
            ActivateError::Delivery(error) => error.into(),
            ActivateError::Database(error) => error.into(),
            ActivateError::Defect(defect) => defect.into(),
        }
    }
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::Link(refused) => refused.into(),
            CancelError::Database(error) => error.into(),
            CancelError::NotOffered => Self::new(Code::NotFound),
            CancelError::Contended => Self::new(Code::DatabaseUnavailable),
            CancelError::Defect(defect) => defect.into(),
        }
    }
}

impl From<UndoError> for Problem {
    fn from(error: UndoError) -> Self {
        match error {
            UndoError::Link(refused) => refused.into(),
            UndoError::Password(refused) => refused.into(),
            UndoError::EmailTaken => Self::new(Code::EmailTaken),
            UndoError::Database(error) => error.into(),
            UndoError::NotOffered => Self::new(Code::NotFound),
            UndoError::Contended => Self::new(Code::DatabaseUnavailable),
            UndoError::Defect(defect) => defect.into(),
        }
    }
}

impl From<InspectError> for Problem {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Link(refused) => refused.into(),
            InspectError::Database(error) => error.into(),
        }
    }
}
