//! The process groups of programs that answer calls. None of them outlives this program.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};

/// The time from one look at a group that is ending to the next.
const POLL: Duration = Duration::from_millis(20);

static RUNNING: Mutex<Running> = Mutex::new(Running { groups: BTreeSet::new(), is_over: false });

struct Running {
    /// The ids of the groups.
    groups: BTreeSet<i32>,
    /// No further group is started.
    is_over: bool,
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends SIGKILL to all groups. No program is started afterwards.
pub(crate) fn kill_all() {
    let mut running = running();
    running.is_over = true;
    for group in std::mem::take(&mut running.groups) {
        kill(group, Signal::KILL);
    }
}

fn kill(group: i32, signal: Signal) {
    // A group that has ended needs no signal.
    let _ = Pid::from_raw(group).map(|group| kill_process_group(group, signal));
}

/// The group of a program. It gets SIGKILL when this is dropped, unless the program has ended.
pub(crate) struct Group {
    id: i32,
    is_over: bool,
}

impl Group {
    /// Starts a program in a group of its own.
    ///
    /// # Errors
    /// The program cannot be started, or this program is ending.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<(Child, Self)> {
        // The lock is held, so that no program starts after `kill_all`.
        let mut running = running();
        if running.is_over {
            return Err(io::Error::other("the callee is ending"));
        }
        let child = command.process_group(0).spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or_else(|| io::Error::other("a program without an id"))?;
        running.groups.insert(id);
        Ok((child, Self { id, is_over: false }))
    }

    /// Leaves the group alone: its program has ended. Programs that this one has left in the group go on.
    pub(crate) fn release(mut self) {
        self.is_over = true;
    }

    /// Ends the group: SIGTERM, and SIGKILL after this time.
    pub(crate) async fn end(&mut self, child: &mut Child, limit: Duration) {
        kill(self.id, Signal::TERM);
        let empty = async {
            let _ = child.wait().await;
            while self.has_members() {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(limit, empty).await.is_err() {
            kill(self.id, Signal::KILL);
            let _ = child.wait().await;
        }
        self.is_over = true;
    }

    fn has_members(&self) -> bool {
        Pid::from_raw(self.id).is_some_and(|group| test_kill_process_group(group) != Err(Errno::SRCH))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let was_running = running().groups.remove(&self.id);
        if was_running && !self.is_over {
            kill(self.id, Signal::KILL);
        }
    }
}
