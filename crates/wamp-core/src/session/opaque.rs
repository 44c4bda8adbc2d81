//! Payloads that are opaque to the router (behaviour [64](crate::behaviour#rule-64), [150](crate::behaviour#rule-150)).

use wamp_proto::message::{Ppt, PptForm};
use wamp_proto::{EncodeError, Payload, Role};

use super::Session;
use crate::Misuse;

impl Session {
    /// Checks the options of an opaque payload, and the payload with them. A router that did not announce the feature would
    /// end the session.
    pub(super) fn check_opaque(
        &self,
        router: Role,
        ppt: Option<&Ppt>,
        payload: &Payload,
    ) -> Result<(), Misuse> {
        check(ppt, payload)?;
        let Some(form) = ppt.and_then(Ppt::form) else { return Ok(()) };
        if self.router.has(router, form.feature()) { Ok(()) } else { Err(Misuse::NotSupported) }
    }
}

/// Checks the options of payload transparency with their payload: neither goes without the other.
pub(super) fn check(ppt: Option<&Ppt>, payload: &Payload) -> Result<(), EncodeError> {
    match ppt {
        Some(ppt) if ppt.form() == Some(PptForm::Transparency) => {
            ppt.check(payload).map_err(EncodeError::Custom)
        }
        _ if payload.is_binary() => {
            let text = "a binary in the place of the arguments needs the option \"enc_algo\"";
            Err(EncodeError::Custom(text.to_owned()))
        }
        _ => Ok(()),
    }
}
