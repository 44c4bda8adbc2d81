//! Counts of how often each cell of the table of progressive results, each ending and each race occurred.

use std::fmt;

/// The role that a table belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    Caller,
    Dealer,
    Callee,
}

/// The state of a call, by the specification and `behaviour.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Running,
    Canceling,
    Abandoned,
    Over,
}

impl Phase {
    pub fn is_alive(self) -> bool {
        matches!(self, Phase::Running | Phase::Canceling)
    }
}

const ROLES: [&str; 3] = ["caller", "dealer", "callee"];
const ROWS: [&str; 6] = [
    "running, caller wants progress",
    "running, caller does not",
    "canceling, caller wants progress",
    "canceling, caller does not",
    "abandoned",
    "over",
];

macro_rules! seen {
    ($($name:ident = $sentence:literal,)*) => {
        /// An ending or a race.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Seen { $($name,)* }

        const SEEN: &[&str] = &[$($sentence,)*];
    };
}

seen! {
    EndResult = "end: result",
    EndError = "end: error of the application",
    EndSkip = "end: canceled by skip",
    EndSkipInstead = "end: canceled at once, since the callee takes no INTERRUPT",
    EndKillNoWait = "end: canceled by killnowait",
    EndKill = "end: canceled by kill, the callee agrees",
    EndResultAfterKill = "end: result of a call that its caller had canceled with kill",
    EndKillTimeout = "end: canceled by kill, the callee is silent",
    EndTimeout = "end: timeout, by the dealer",
    EndTimeoutByCallee = "end: timeout, by the callee",
    EndCallerGoodbye = "end: the caller left with GOODBYE",
    EndCallerLost = "end: the caller's link was cut",
    EndCallerAbort = "end: the caller left with ABORT",
    EndCallerViolation = "end: the caller was aborted",
    EndCallerKicked = "end: the router closed the caller's session",
    EndCalleeGoodbye = "end: the callee left with GOODBYE",
    EndCalleeLost = "end: the callee's link was cut",
    EndCalleeAbort = "end: the callee left with ABORT",
    EndCalleeViolation = "end: the callee was aborted",
    EndCalleeKicked = "end: the router closed the callee's session",
    EndRefused = "end: no callee takes the call",
    EndRefusedLate = "end: the callee refuses a call with a result or another chunk",
    EndRefusedPlain = "end: refused by a callee that did not announce re-routing",
    EndBusy = "end: each callee has as many calls as it takes",
    Rerouted = "re-routing: another callee gets the call",
    ReroutedTwice = "re-routing: a third callee gets the call",
    ReroutedUpload = "re-routing: of a call in chunks",
    ReroutedTimed = "re-routing: of a call with a timeout",
    RefusedAfterKill = "race: the callee refuses a call that its caller cancels with kill",
    EndShutdown = "end: shutdown of the router",
    EndAbandoned = "end: given up by the router, which had called",
    RouterAnswered = "router: a call of its own is answered",
    RouterRefused = "router: a call of its own without a callee",
    RouterTimeout = "router: a call of its own exceeds its time",
    RefusedNoProcedure = "end: no such procedure",
    RefusedChunks = "end: the callee takes no chunks",
    LateProgress = "race: progressive YIELD after the end, at the dealer",
    LateLast = "race: last YIELD or ERROR after the end, at the dealer",
    TwiceAnswered = "race: second last answer to one invocation",
    CancelCrossedResult = "race: CANCEL crossed the last RESULT or ERROR",
    CancelCrossedTimeout = "race: CANCEL crossed ERROR timeout",
    InterruptCrossedYield = "race: INTERRUPT crossed the last YIELD",
    ChunkCrossedAnswer = "race: chunk crossed the last answer, at the dealer",
    ChunkLateAtCallee = "race: chunk crossed the last answer, at the callee",
    Upgrade = "race: kill upgraded to killnowait",
    UpgradeSkip = "race: skip after kill",
    DuplicateCancel = "race: kill again",
    ForeignCancel = "race: CANCEL of a call that its sender never made",
    ProgressAfterKill = "race: progress after kill",
    ReplyAfterLocalCancel = "race: reply for a call that its caller has canceled and forgotten",
    GoodbyeOfCaller = "race: GOODBYE of a caller during calls",
    GoodbyeOfCallee = "race: GOODBYE of a callee during calls",
    GoodbyesCrossed = "race: GOODBYE crossed GOODBYE",
    GoodbyeUnanswered = "race: GOODBYE that the client does not answer",
    SelfCallLeft = "race: a session left during a call to itself",
    UnregisteredMidStream = "race: progress after the callee has unregistered",
    InvokedWhileLeaving = "race: INVOCATION for a session that has said GOODBYE",
    TimeoutRestarted = "race: a timeout began again with a result",
    TimeoutExcused = "race: a timeout while the router does not read from the callee",
    TimeoutAfterChunk = "race: a timeout although chunks came",
    ForgottenInBatch = "race: ABORT in the same batch as a request",
    StickyChunk = "race: chunk of a shared registration whose turn has moved on",
    ChunkAfterUnregister = "race: chunk after the callee unregistered",
    EndStarved = "end: canceled, since a receiver has granted nothing for 5 minutes",
    CreditWaited = "credit: a sender waits",
    CreditWoken = "credit: a sender is woken",
    CreditWokenByLeft = "credit: granted because messages were written to the receiver's socket",
    CreditLimited = "credit: granted no more than the next receiver's credit",
    CreditOverdrawn = "credit: a message overdraws",
    CreditWidened = "credit: granted more than the first window",
    CreditDelayed = "credit: a small amount granted after 30 s",
    CreditLate = "credit: CREDIT for a call that is over, at the dealer",
    CreditLateAtClient = "credit: CREDIT for a call that is over, at a client",
    CreditCrossedCancel = "credit: CREDIT crossed CANCEL",
    CreditCrossedFinal = "credit: CREDIT crossed the final chunk",
    CreditRepeated = "credit: a total that is no greater, at the dealer",
    CreditVoid = "credit: a total that is not a number",
    CreditOfNothing = "credit: CREDIT for a call that never was",
    CreditUnannounced = "credit: CREDIT from a peer that did not announce it",
    CreditUnsaid = "credit: CREDIT that does not name its stream",
    CreditSameIds = "credit: a call and an invocation of one session with the same id, both with streams",
    CreditDuplex = "credit: both streams of one call",
    CreditOneHop = "credit: only one end of a stream knows credit",
    CreditAfterKill = "credit: results after a kill are consumed at once",
    CreditOverrun = "credit: progress of a sender without credit is forwarded",
    CreditFreeEnd = "credit: a last result without credit",
    CreditFreeChunk = "credit: a final chunk without credit",
    CreditUnlimited = "credit: a callee that is not told of the end gets unlimited credit",
    CreditLeftLate = "credit: messages of a finished call were written to the socket",
    StarvedInTime = "credit: a receiver grants again before 5 minutes are over",
    StarvedFinal = "credit: a final chunk of a caller that waits for credit",
    TimeoutWithoutCredit = "race: a timeout while the callee has no credit",
    IdUsedAgain = "ids: a request with the id of a call that has ended",
    IdInUse = "ids: a request with the id of a running call",
    TwoWays = "race: progress before the last chunk",
}

pub struct Coverage {
    cells: [[[u64; 2]; 6]; 3],
    seen: [u64; SEEN.len()],
}

impl Coverage {
    pub fn new() -> Self {
        Self { cells: [[[0; 2]; 6]; 3], seen: [0; SEEN.len()] }
    }

    pub fn hit(&mut self, seen: Seen) {
        self.seen[seen as usize] += 1;
    }

    pub fn cell(&mut self, role: Role, phase: Phase, wants_progress: bool, progress: bool) {
        let row = match (phase, wants_progress) {
            (Phase::Running, true) => 0,
            (Phase::Running, false) => 1,
            (Phase::Canceling, true) => 2,
            (Phase::Canceling, false) => 3,
            (Phase::Abandoned, _) => 4,
            (Phase::Over, _) => 5,
        };
        self.cells[role as usize][row][usize::from(!progress)] += 1;
    }

    /// Returns the cells that occurred less often than this.
    pub fn below(&self, least: u64) -> Vec<String> {
        let lines = self.lines();
        lines.into_iter().filter(|(_, count)| *count < least).map(|(name, _)| name).collect()
    }

    fn lines(&self) -> Vec<(String, u64)> {
        let mut lines = Vec::new();
        for (role, rows) in ROLES.iter().zip(&self.cells) {
            for (row, columns) in ROWS.iter().zip(rows) {
                for (column, count) in ["progress", "last"].iter().zip(columns) {
                    lines.push((format!("table, {role}: {row} × {column}"), *count));
                }
            }
        }
        lines.extend(SEEN.iter().zip(self.seen).map(|(name, count)| ((*name).to_owned(), count)));
        lines
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.lines() {
            writeln!(f, "{count:>10}  {name}")?;
        }
        Ok(())
    }
}
