//! Sessions come back to a router whose process is killed, ended and stopped, under load. `KILLS` is the
//! number of times, 6 by default and 100 in a long run.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use wamp_client::{CallError, Connect, Invocation, Keepalive, Session, Standing, connect};

const SECOND: Duration = Duration::from_secs(1);

/// The time limit of each wait in this test.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, which does not outlive its test.
struct Router(Child);

impl Router {
    /// Starts it, and returns its address.
    fn start(listen: &str) -> (Self, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
        command.args(["--listen", listen]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let urls = line.strip_prefix("Listening on ws://");
        let (address, _) = urls.and_then(|urls| urls.split_once(' ')).unwrap_or_else(|| panic!("{line:?}"));
        (Self(child), address.to_owned())
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn quickly(address: &str) -> Connect {
    let keepalive = Keepalive::default().silence(SECOND / 4).answer(SECOND / 4);
    connect(format!("ws://{address}/ws"))
        .backoff(Duration::from_millis(5), Duration::from_millis(100))
        .keepalive(keepalive)
}

/// Calls without end. Each call has one end, and the right one if it is a result.
async fn load(session: Session, served: Arc<AtomicUsize>, failed: Arc<AtomicUsize>) {
    for i in 0.. {
        let call = session.call("com.example.twice").arg(i);
        match timeout(PATIENCE, call).await.expect("each call has an end") {
            Ok(result) => {
                assert_eq!(result.decode::<u64>().unwrap(), 2 * i);
                served.fetch_add(1, Ordering::Relaxed);
            }
            Err(
                CallError::Disconnected { .. } | CallError::Canceled { .. } | CallError::Application { .. },
            ) => {
                failed.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(2)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "figures for a reader with --nocapture")]
async fn a_callee_serves_again_whatever_happens_to_the_process_of_its_router() {
    let kills = std::env::var("KILLS").map_or(6, |kills| kills.parse().unwrap());
    let (mut router, address) = Router::start("127.0.0.1:0");
    let callee = quickly(&address).await.unwrap();
    let twice = |call: Invocation| async move { Ok(2 * call.decode::<u64>()?) };
    let registration = callee.register("com.example.twice", twice).await.unwrap();
    let caller = quickly(&address).await.unwrap();
    let (served, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut slowest = Duration::ZERO;
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        tasks.spawn(load(caller.clone(), served.clone(), failed.clone()));
    }
    for kill in 0..kills {
        let before = callee.id();
        match ["KILL", "TERM", "STOP"][kill % 3] {
            "STOP" => {
                router.signal("STOP");
                // Longer than both ends of the session wait for a sign of life.
                sleep(SECOND).await;
                router.signal("CONT");
            }
            signal => {
                router.signal(signal);
                router.0.wait().unwrap();
                router = Router::start(&address).0;
            }
        }
        let begin = Instant::now();
        let again = async {
            while callee.id() == before || registration.state() != Some(Standing::Up) {
                sleep(Duration::from_millis(5)).await;
            }
            let answered = served.load(Ordering::Relaxed);
            while served.load(Ordering::Relaxed) == answered {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, again).await.expect("the callee serves again");
        // The delays are 100 ms at most, and a registration that the router still has is repeated after half a second.
        assert!(begin.elapsed() < 5 * SECOND, "{kill}: {:?}", begin.elapsed());
        slowest = slowest.max(begin.elapsed());
    }
    println!(
        "{kills} times: {served:?} calls served, {failed:?} failed, in service again after {slowest:?} at most"
    );
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        assert!(ended.is_err_and(|error| error.is_cancelled()), "a call has gone wrong");
    }
    callee.leave().await;
}
