//! A case: one attack, what is to hold, and what came of it.

/// The figures of a case that held, or what did not hold, with the figures.
pub type Outcome = Result<String, String>;

/// One attack.
#[derive(Clone, Copy)]
pub struct Case {
    /// `group/attack`.
    pub name: &'static str,
    pub run: fn() -> Outcome,
    pub when: When,
}

/// How a case goes together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It measures time: nothing else runs meanwhile.
    Alone,
    /// It waits most of the time and measures seconds or memory: anything may run meanwhile.
    Background,
    /// It measures memory or counts seconds: others of its kind may run meanwhile.
    Together,
    /// As `Together`, and only if the long versions are wanted.
    Long,
    /// As `Alone`, and only if the long versions are wanted.
    LongAlone,
}

/// Whether the long versions are wanted: `HOSTILE=long`.
pub fn is_long() -> bool {
    std::env::var("HOSTILE").is_ok_and(|word| word == "long")
}

/// What an I/O error means for a case.
pub fn broken(error: std::io::Error) -> String {
    format!("the attack could not be made: {error}")
}

/// Fails unless this holds; the figures come in both ways.
pub fn hold(holds: bool, what: &str, figures: String) -> Outcome {
    if holds { Ok(figures) } else { Err(format!("{what}: {figures}")) }
}
