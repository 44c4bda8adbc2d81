//! A builder of the arguments of a message.

use serde::Serialize;
use wamp_proto::message::Ppt;
use wamp_proto::{Args, Arguments, EncodeError, Payload, Serializer};

use crate::opaque;

/// Arguments added one by one, or all at once. Errors are returned at the end.
pub(crate) struct Body {
    serializer: Option<Serializer>,
    input: Input,
}

enum Input {
    Nothing,
    OneByOne(Arguments),
    Whole(Payload),
    Both,
    Failed(EncodeError),
}

impl Body {
    /// A builder without arguments. Without a serializer it stays empty.
    pub(crate) fn new(serializer: Option<Serializer>) -> Self {
        Self { serializer, input: Input::Nothing }
    }

    pub(crate) fn args<T: Args + ?Sized>(&mut self, values: &T) {
        self.add(|arguments| arguments.args(values));
    }

    pub(crate) fn arg<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.add(|arguments| arguments.arg(value));
    }

    pub(crate) fn kwarg<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        self.add(|arguments| arguments.kwarg(name, value));
    }

    pub(crate) fn kwargs<T: Serialize + ?Sized>(&mut self, values: &T) {
        self.add(|arguments| arguments.kwargs(values));
    }

    pub(crate) fn payload(&mut self, payload: Payload) {
        self.input = match self.input {
            Input::Nothing | Input::Whole(_) => Input::Whole(payload),
            Input::OneByOne(_) | Input::Both => Input::Both,
            Input::Failed(_) => return,
        };
    }

    /// Sets bytes that are opaque to the router, with these options.
    pub(crate) fn opaque(&mut self, ppt: &Ppt, bytes: &[u8]) {
        let Some(serializer) = self.serializer else { return };
        match opaque::write(serializer, ppt, bytes) {
            Ok(payload) => self.payload(payload),
            Err(error) => self.fail(error),
        }
    }

    /// Notes an error of the message beside its arguments.
    pub(crate) fn fail(&mut self, error: EncodeError) {
        self.input = Input::Failed(error);
    }

    fn add(&mut self, step: impl FnOnce(Arguments) -> Arguments) {
        let Some(serializer) = self.serializer else { return };
        self.input = match std::mem::replace(&mut self.input, Input::Both) {
            Input::Nothing => Input::OneByOne(step(Arguments::new(serializer))),
            Input::OneByOne(arguments) => Input::OneByOne(step(arguments)),
            Input::Whole(_) | Input::Both => Input::Both,
            Input::Failed(error) => Input::Failed(error),
        };
    }

    /// The arguments in this serializer.
    pub(crate) fn finish(self, serializer: Serializer) -> Result<Payload, EncodeError> {
        let payload = match self.input {
            Input::Nothing => return Ok(Payload::empty()),
            Input::OneByOne(arguments) => arguments.finish()?,
            Input::Whole(payload) => payload,
            Input::Failed(error) => return Err(error),
            Input::Both => {
                let text = "set either a ready payload or single arguments, not both";
                return Err(EncodeError::Custom(text.to_owned()));
            }
        };
        payload.transcode(serializer)
    }
}

/// One argument: a text.
pub(crate) fn sentence(serializer: Serializer, text: &str) -> Payload {
    // JSON cannot express a text that begins with U+0000, which ours do not.
    Payload::new(serializer, text).unwrap_or_default()
}
