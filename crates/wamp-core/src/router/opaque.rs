//! Payloads that are opaque to the router, and the peers that take them (behaviour [64](crate::behaviour#rule-64),
//! [150](crate::behaviour#rule-150)).

use wamp_proto::message::{Ppt, PptForm};
use wamp_proto::{Feature, Payload, Role, Roles, uri};

use super::context::Refused;

/// The forms of opaque payloads that a client announced for a role.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forms {
    passthru: bool,
    transparency: bool,
}

impl Forms {
    pub(super) fn of(roles: &Roles, role: Role) -> Self {
        Self {
            passthru: roles.has(role, Feature::PayloadPassthruMode),
            transparency: roles.has(role, Feature::PayloadTransparency),
        }
    }

    /// Returns whether it breaks the protocol to send these options. Payload transparency needs no announcement of its
    /// sender, which is in no specification.
    #[cold]
    pub(super) fn forbid(self, ppt: &Ppt) -> bool {
        ppt.form() == Some(PptForm::Passthru) && !self.passthru
    }

    /// Returns whether the client announced payload transparency.
    pub(super) fn is_transparent(self) -> bool {
        self.transparency
    }

    fn take(self, form: PptForm) -> bool {
        match form {
            PptForm::Passthru => self.passthru,
            _ => self.transparency,
        }
    }

    /// Checks these options with their payload, for a receiver with this name.
    #[cold]
    pub(super) fn check(self, ppt: &Ppt, payload: &Payload, receiver: &str) -> Result<(), Refused> {
        check(ppt, payload)?;
        match ppt.form() {
            Some(form) if !self.take(form) => {
                let text = format!("the {receiver} did not announce {}", form.feature().name());
                Err((uri::FEATURE_NOT_SUPPORTED, text))
            }
            _ => Ok(()),
        }
    }
}

/// Checks the options of payload transparency with their payload.
#[cold]
pub(super) fn check(ppt: &Ppt, payload: &Payload) -> Result<(), Refused> {
    ppt.check(payload).map_err(|text| (uri::INVALID_ARGUMENT, text))
}

/// Returns whether these options are those of payload transparency.
pub(super) fn is_transparent(ppt: Option<&Ppt>) -> bool {
    ppt.is_some_and(|ppt| ppt.form() == Some(PptForm::Transparency))
}
