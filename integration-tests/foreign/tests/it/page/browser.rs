//! Chromium without a window, driven through WebDriver.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;

use super::http::request;
use crate::log::Log;
use crate::process::{PATIENCE, Process};

/// A browser with one tab. It ends when this is dropped.
pub struct Browser {
    _driver: Process,
    address: String,
    session: String,
}

impl Browser {
    pub async fn start(log: &Log) -> Result<Self, String> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let (driver, mut lines) = Process::start_group("chromedriver", command, log)?;
        let port = loop {
            let line = lines.next().await?.ok_or("chromedriver has ended")?;
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        lines.record(log);
        let mut browser =
            Self { _driver: driver, address: format!("127.0.0.1:{port}"), session: String::new() };
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let options = json!({ "args": arguments });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let begun = browser.send("POST", "/session", Some(&wanted)).await?;
        browser.session = begun["sessionId"].as_str().ok_or("no session")?.to_owned();
        Ok(browser)
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let text = request(&self.address, method, path, body).await?;
        let answer: Value =
            serde_json::from_str(&text).map_err(|error| format!("{path}: {error}: {text}"))?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("{path}: {error}: {}", answer["value"]["message"])),
            None => Ok(answer["value"].clone()),
        }
    }

    async fn command(&self, path: &str, body: Value) -> Result<Value, String> {
        self.send("POST", &format!("/session/{}/{path}", self.session), Some(&body)).await
    }

    pub async fn open(&self, url: &str) -> Result<(), String> {
        self.command("url", json!({ "url": url })).await.map(drop)
    }

    /// Runs a script and returns what it returns.
    pub async fn run(&self, script: &str) -> Result<Value, String> {
        self.command("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Runs a script that calls its last argument with a result.
    pub async fn run_async(&self, script: &str) -> Result<Value, String> {
        self.command("execute/async", json!({ "script": script, "args": [] })).await
    }

    /// Runs a script until it returns something but `null` and `false`. Returns that, and the time it took.
    pub async fn until(&self, script: &str) -> Result<(Value, Duration), String> {
        let begin = Instant::now();
        loop {
            let value = self.run(script).await?;
            if !value.is_null() && value != false {
                return Ok((value, begin.elapsed()));
            }
            if begin.elapsed() > PATIENCE {
                let page = self.run("return document.body.innerText").await?;
                return Err(format!("never true: {script}\nthe page has: {page}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Result<(), String> {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await.map(drop)
    }

    /// Sets the width of the window, and `dark` or `light`.
    pub async fn look(&self, width: u32, scheme: &str) -> Result<(), String> {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await?;
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", scheme).await
    }

    /// Saves what the window shows.
    pub async fn screenshot(&self, path: &Path) -> Result<(), String> {
        let url = format!("/session/{}/screenshot", self.session);
        let encoded = self.send("GET", &url, None).await?;
        let image = decoded(encoded.as_str().unwrap_or_default());
        std::fs::write(path, image).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub async fn close(self) {
        let _ = self.send("DELETE", &format!("/session/{}", self.session), None).await;
    }
}

/// Decodes base64.
fn decoded(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u32> = text.bytes().filter_map(value).map(u32::from).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
