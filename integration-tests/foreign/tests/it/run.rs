//! Runs the rows: section after section, within a section as many at a time as there are processors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::hellos;
use crate::log::Log;
use crate::plots::Stage;
use crate::returning;
use crate::routers::Running;
use crate::rows::{HELLOS, RETURNS, Row, SECTIONS, Section};
use crate::tools::Tools;

/// A row that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// The outcome of a section.
pub struct Chapter {
    pub title: &'static str,
    pub outcomes: Vec<Outcome>,
}

/// The outcome of a row.
pub struct Outcome {
    pub row: &'static str,
    pub took: Duration,
    pub result: Result<(), String>,
}

/// Runs the rows that have one of the words in them, or all.
pub async fn sections(tools: Arc<Tools>, wanted: &[String]) -> Vec<Chapter> {
    let mut chapters = Vec::new();
    for section in SECTIONS {
        let is_wanted = |row: &&str| wanted.is_empty() || wanted.iter().any(|word| row.contains(&**word));
        let rows: Vec<&'static str> = section.rows.iter().copied().filter(is_wanted).collect();
        if !rows.is_empty() {
            let outcomes = run(section, rows, &tools).await;
            chapters.push(Chapter { title: section.title, outcomes });
        }
    }
    let wants =
        |row: &&str| wanted.is_empty() || wanted.iter().any(|word| word == "HELLO" || row.contains(&**word));
    let rows: Vec<&'static str> = HELLOS.iter().copied().filter(wants).collect();
    if !rows.is_empty() {
        chapters.push(hellos::chapter(&tools, rows).await);
    }
    let is_wanted = |row: &&str| wanted.is_empty() || wanted.iter().any(|word| row.contains(&**word));
    let rows: Vec<&'static str> = RETURNS.iter().copied().filter(is_wanted).collect();
    if !rows.is_empty() {
        chapters.push(returning::chapter(&tools, rows).await);
    }
    chapters
}

async fn run(section: &Section, rows: Vec<&'static str>, tools: &Arc<Tools>) -> Vec<Outcome> {
    let started = Instant::now();
    let router = match Running::start(section.router, tools).await {
        Ok(router) => Arc::new(router),
        Err(why) => {
            let failed = |row| Outcome { row, took: started.elapsed(), result: Err(why.clone()) };
            return rows.into_iter().map(failed).collect();
        }
    };
    let places = Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from)));
    let mut running = JoinSet::new();
    for (index, row) in rows.iter().copied().enumerate() {
        let (tools, router, places) = (tools.clone(), router.clone(), places.clone());
        running.spawn(async move {
            let place = places.acquire_owned().await;
            let outcome = play(row, &format!("com.myapp.row_{index}"), &tools, &router).await;
            drop(place);
            (index, outcome)
        });
    }
    let mut outcomes: Vec<Option<Outcome>> = rows.iter().map(|_| None).collect();
    while let Some(joined) = running.join_next().await {
        if let Ok((index, outcome)) = joined {
            outcomes[index] = Some(outcome);
        }
    }
    let panicked = |row| Outcome { row, took: Duration::ZERO, result: Err("it panicked".to_owned()) };
    let mut outcomes: Vec<Outcome> = rows
        .into_iter()
        .zip(outcomes)
        .map(|(row, outcome)| outcome.unwrap_or_else(|| panicked(row)))
        .collect();
    let stopping = Instant::now();
    let stopped = match Arc::into_inner(router) {
        Some(router) => {
            let log = router.log.clone();
            router.stop().await.map_err(|why| with_log(why, &log))
        }
        None => Err("another handle still has it".to_owned()),
    };
    if stopped.is_err() {
        outcomes.push(Outcome { row: "the router ends", took: stopping.elapsed(), result: stopped });
    }
    outcomes
}

async fn play(text: &'static str, procedure: &str, tools: &Tools, router: &Running) -> Outcome {
    let started = Instant::now();
    let log = Log::default();
    let stage = Stage { tools, router, procedure, log: &log };
    let result = match Row::read(text) {
        Some(row) => match timeout(PATIENCE, stage.play(row)).await {
            Ok(result) => result.map_err(|why| with_log(why, &log)),
            Err(_) => Err(with_log("it hangs".to_owned(), &log)),
        },
        None => Err("no row can be read from this".to_owned()),
    };
    Outcome { row: text, took: started.elapsed(), result }
}

pub fn with_log(why: String, log: &Log) -> String {
    std::iter::once(why).chain(log.lines()).collect::<Vec<_>>().join("\n")
}
