//! A real Prometheus. `SCRAPE` is for how many seconds it scrapes, 10 by default.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use wamp_client::{Failure, Invocation};

use super::http::request;
use super::service::Service;
use crate::log::Log;
use crate::process::{PATIENCE, Process};
use crate::report::say;
use crate::tools::Tools;

pub async fn play(tools: &Tools, log: &Log) -> Result<(), String> {
    let service = Service::start(tools, false, log).await?;
    check(&service).await?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: wamp\n  static_configs: [{{ targets: [\"{}\"] }}]\n",
        service.admin
    );
    std::fs::write(&config, text).map_err(|error| error.to_string())?;
    let port = free_port()?;
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let (_prometheus, lines) = Process::start("prometheus", command, log)?;
    lines.record(log);
    let prometheus = format!("127.0.0.1:{port}");

    let seconds = std::env::var("SCRAPE")
        .map_or(Ok(10), |seconds| seconds.parse())
        .map_err(|error| format!("SCRAPE: {error}"))?;
    let (calls, results) = load(&service, Duration::from_secs(seconds)).await?;
    // Until the last figures have been scraped.
    let expected =
        [("wamp_calls_total", calls), ("wamp_results_total", results + calls), ("wamp_sessions", 2)];
    let begin = Instant::now();
    for (metric, value) in expected {
        loop {
            let sum = query(&prometheus, &format!("sum({metric})")).await;
            if sum == Some(value as f64) {
                break;
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!("{metric} is {sum:?} at Prometheus, and should be {value}"));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
    let scrapes = query(&prometheus, "count_over_time(up[10m])").await.unwrap_or(0.0);
    let up = query(&prometheus, "min_over_time(up[10m])").await.unwrap_or(0.0);
    say(&format!("{scrapes} scrapes, {calls} calls and {results} progressive results as they were made"));
    if up < 1.0 || scrapes < seconds as f64 / 2.0 {
        return Err(format!("{scrapes} scrapes in {seconds} s, the worst of them was {up}"));
    }
    Ok(())
}

/// Makes calls for this time. Returns their number, and that of their progressive results.
async fn load(service: &Service, time: Duration) -> Result<(u64, u64), String> {
    let (callee, caller) = (service.join().await?, service.join().await?);
    let count = async |invocation: Invocation| {
        if let Some(progress) = invocation.progress() {
            for number in 0..100_u64 {
                progress.send(number).await?;
            }
        }
        Ok::<_, Failure>(100_u64)
    };
    callee.register("com.example.count", count).await.map_err(|error| error.to_string())?;
    let (begin, mut calls, mut results) = (Instant::now(), 0, 0);
    while begin.elapsed() < time {
        let mut seen = 0;
        let ended = caller.call("com.example.count").on_progress(|_: u64| seen += 1).await;
        ended.map_err(|error| error.to_string())?;
        (calls, results) = (calls + 1, results + seen);
    }
    // The sessions stay until the end of the program.
    std::mem::forget((callee, caller));
    Ok((calls, results))
}

/// The metrics as `promtool` judges them.
async fn check(service: &Service) -> Result<(), String> {
    let metrics = request(&service.admin, "GET", "/metrics", None).await?;
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(std::process::Stdio::piped());
    promtool.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = promtool.spawn().map_err(|error| format!("promtool: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(metrics.as_bytes()).await.map_err(|error| format!("promtool: {error}"))?;
    }
    let output = timeout(PATIENCE, child.wait_with_output()).await.map_err(|_| "promtool hangs")?;
    let output = output.map_err(|error| format!("promtool: {error}"))?;
    let said = [output.stdout, output.stderr].concat();
    match output.status.success() && said.is_empty() {
        true => Ok(()),
        false => Err(format!("promtool check metrics: {}", String::from_utf8_lossy(&said))),
    }
}

/// The value of an expression; `None` if there is none yet.
async fn query(prometheus: &str, expression: &str) -> Option<f64> {
    let path = format!("/api/v1/query?query={}", expression.replace('(', "%28").replace(')', "%29"));
    let path = path.replace('[', "%5B").replace(']', "%5D");
    let answer = request(prometheus, "GET", &path, None).await.ok()?;
    let answer: Value = serde_json::from_str(&answer).ok()?;
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

fn free_port() -> Result<u16, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}
