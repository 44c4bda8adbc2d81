//! A case: one attack, its condition and its outcome.

/// The figures of a case that held, or the failure with the figures.
pub type Outcome = Result<String, String>;

/// One attack.
#[derive(Clone, Copy)]
pub struct Case {
    /// `group/attack`.
    pub name: &'static str,
    pub run: fn() -> Outcome,
    pub when: When,
}

/// The way in which a case runs beside others.
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

/// The outcome of a case with an I/O error.
pub fn broken(error: std::io::Error) -> String {
    format!("the attack could not be made: {error}")
}

/// Fails unless the condition holds; the figures are shown either way.
pub fn hold(holds: bool, what: &str, figures: String) -> Outcome {
    if holds { Ok(figures) } else { Err(format!("{what}: {figures}")) }
}
