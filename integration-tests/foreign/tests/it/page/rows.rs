//! The page, as a person sees it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;
use wamp_client::auth::Credential;
use wamp_client::connect;

use super::browser::Browser;
use super::scrape;
use super::service::{HELLO, HOSTILE, Service, TOKEN, endless, flood, paced, watch_stream};
use crate::log::Log;
use crate::report::say;
use crate::tools::{Tools, here};

/// Returns the rows of the table: the name, and the text of the other cells.
const TABLE: &str = "return [...document.querySelectorAll('#rows > tr:not(.detail)')].map(tr => \
                     [tr.className, ...[...tr.cells].map(td => td.innerText)])";

pub async fn play(row: &str, tools: &Tools, log: &Log) -> Result<(), String> {
    if row.starts_with("metrics") {
        return scrape::play(tools, log).await;
    }
    let with_token = row.contains("token");
    let service = Service::start(tools, with_token, log).await?;
    let browser = Browser::start(log).await?;
    browser.look(1280, "light").await?;
    let played = match row {
        "page: three streams show their rates" => streams(&service, &browser).await,
        "page: a held link turns red" => held(&service, &browser).await,
        "page: a hostile authid stays text" => hostile(&service, &browser).await,
        "page: a call is canceled with the token only" => acts(&service, &browser).await,
        "page: 10,000 calls keep a frame under 50 ms" => many(&service, &browser).await,
        "page: axe-core finds nothing, dark, light, 360 px" => looks(&service, &browser).await,
        "page: faults are shown after a restart of the router" => restart(&service, &browser).await,
        _ => keyboard(&service, &browser).await,
    };
    browser.close().await;
    played
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// A path for a screenshot.
fn picture(name: &str) -> Result<PathBuf, String> {
    let folder = here("../../target/page");
    std::fs::create_dir_all(&folder).map_err(text)?;
    Ok(folder.join(format!("{name}.png")))
}

async fn streams(service: &Service, browser: &Browser) -> Result<(), String> {
    let (callee, caller) = (service.join().await?, service.join().await?);
    callee.register("com.example.paced", paced).await.map_err(text)?;
    browser.open(&service.page()).await?;
    browser.until("return document.getElementById('state').textContent === 'live'").await?;
    let rates = [20.0, 50.0, 200.0];
    let begin = Instant::now();
    let tasks = rates.map(|rate| watch_stream(&caller, "com.example.paced", rate));
    browser.until("return document.querySelectorAll('#rows > tr').length === 3").await?;
    let shown = begin.elapsed();
    sleep(Duration::from_secs(4)).await;
    let rows = browser.run(TABLE).await?;
    let mut seen: Vec<f64> = (0..3).map(|row| rate(&rows[row][7])).collect();
    seen.sort_by(f64::total_cmp);
    say(&format!("streams of 20, 50 and 200 results/s are there after {shown:?}, with the rates {seen:?}"));
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    if shown > Duration::from_secs(1) {
        return Err(format!("the streams are there after {shown:?} only"));
    }
    for (seen, rate) in seen.iter().zip(rates) {
        if (seen - rate).abs() > 0.2 * rate {
            return Err(format!("a stream of {rate} results/s is shown with {seen}: {rows}"));
        }
    }
    browser.until("return document.querySelectorAll('#rows > tr').length === 0").await?;
    Ok(())
}

/// Reads a rate such as `49.9/s`.
fn rate(cell: &Value) -> f64 {
    cell.as_str().unwrap_or_default().trim_end_matches("/s").replace(',', "").parse().unwrap_or(-1.0)
}

async fn held(service: &Service, browser: &Browser) -> Result<(), String> {
    // A callee that does not know credit, and a caller that reads nothing.
    let callee = service.raw(&[HELLO, r#"[64,1,{},"com.example.flood"]"#]).await?;
    tokio::spawn(flood(callee));
    browser.open(&service.page()).await?;
    // It reads the first result, and no other.
    let slow = service.raw(&[HELLO, r#"[48,1,{"receive_progress":true},"com.example.flood"]"#]).await?;
    let red = "const tr = document.querySelector('#rows > tr.bad'); return tr && \
               tr.querySelector('.flag').innerText.startsWith('held') && getComputedStyle(tr.querySelector('.flag')).color";
    let (color, _) = browser.until(red).await?;
    let normal = browser.run("return getComputedStyle(document.body).color").await?;
    if color == normal {
        return Err(format!("a held call has the color {color} of all others"));
    }
    browser.screenshot(&picture("held")?).await?;
    browser.run("document.getElementById('tab-sessions').click()").await?;
    browser.until("return document.querySelector('#rows > tr.bad .flag')").await?;
    browser.until("return document.querySelector('#figures .bad')").await?;
    browser.screenshot(&picture("held-sessions")?).await?;
    drop(slow);
    browser.until("return !document.querySelector('#rows > tr.bad')").await?;
    Ok(())
}

async fn hostile(service: &Service, browser: &Browser) -> Result<(), String> {
    let client = connect(format!("ws://{}/ws", service.router)).no_reconnect();
    let session = client.auth(Credential::ticket(HOSTILE, "ticket")).await.map_err(text)?;
    session.register("com.example.endless", endless).await.map_err(text)?;
    let call = tokio::spawn(session.call("com.example.endless").into_future());
    browser.open(&service.page()).await?;
    browser.until("return document.querySelectorAll('#rows > tr').length === 1").await?;
    browser.run("document.querySelector('#rows button.name').click()").await?;
    let rows = browser.run(TABLE).await?;
    if rows[0][2] != HOSTILE || rows[0][3] != HOSTILE {
        return Err(format!("the caller and the callee are {}", rows[0]));
    }
    let script = "return [document.querySelectorAll('img').length, document.title, document.querySelector('tr.detail').innerText]";
    let found = browser.run(script).await?;
    let detail = found[2].as_str().unwrap_or_default();
    if found[0] != 0 || found[1] == "broken" || !detail.contains(HOSTILE) {
        return Err(format!("markup became elements: {found}"));
    }
    browser.run("document.getElementById('tab-sessions').click()").await?;
    browser.until("return document.querySelectorAll('#rows > tr').length === 1").await?;
    let rows = browser.run(TABLE).await?;
    call.abort();
    if rows[0][1] != HOSTILE {
        return Err(format!("the session is {}", rows[0]));
    }
    // The policy forbids scripts that are not the page's.
    let inline = "const s = document.createElement('script'); s.textContent = 'document.title = \"broken\"'; \
                  document.body.append(s); return document.title";
    match browser.run(inline).await? {
        title if title == "broken" => Err("a script of another source runs".to_owned()),
        _ => Ok(()),
    }
}

async fn acts(service: &Service, browser: &Browser) -> Result<(), String> {
    let session = service.join().await?;
    session.register("com.example.endless", endless).await.map_err(text)?;
    let call = tokio::spawn(session.call("com.example.endless").into_future());
    browser.open(&service.page()).await?;
    browser.until("return document.getElementById('state').textContent.includes('token')").await?;
    if browser.run("return document.querySelectorAll('#rows > tr').length").await? != 0 {
        return Err("rows are shown without the token".to_owned());
    }
    let login = format!(
        "document.getElementById('token').value = '{TOKEN}'; document.getElementById('login').requestSubmit()"
    );
    browser.run(&login).await?;
    browser.until("return document.querySelectorAll('#rows > tr').length === 1").await?;
    browser.run("document.querySelector('#rows button.name').click()").await?;
    let (asked, _) = browser
        .until("const b = document.querySelector('tr.detail button'); if (!b) return false; b.click(); return b.textContent")
        .await?;
    if !asked.as_str().unwrap_or_default().contains("sure") || call.is_finished() {
        return Err(format!("one click was enough: {asked}"));
    }
    browser.run("document.querySelector('tr.detail button').click()").await?;
    let canceled = call.await.map_err(text)?;
    if !canceled.as_ref().is_err_and(|error| error.to_string().contains("administrator")) {
        return Err(format!("the call ended with {:?}", canceled.map(|_| ())));
    }
    browser.until("return document.querySelectorAll('#rows > tr').length === 0").await?;
    Ok(())
}

async fn many(service: &Service, browser: &Browser) -> Result<(), String> {
    let (callee, caller) = (service.join().await?, service.join().await?);
    callee.register("com.example.endless", endless).await.map_err(text)?;
    callee.register("com.example.paced", paced).await.map_err(text)?;
    let mut tasks = Vec::new();
    for _ in 0..9_900 {
        tasks.push(tokio::spawn(caller.call("com.example.endless").into_future()));
    }
    let streams: Vec<_> = (0..100).map(|_| watch_stream(&caller, "com.example.paced", 10.0)).collect();
    browser.open(&service.page()).await?;
    browser.until("return document.getElementById('count').textContent === '200 of 10,000'").await?;
    browser.screenshot(&picture("many")?).await?;
    // The streams are among the rows with the most results.
    browser.run("document.querySelectorAll('#head button')[6].click()").await?;
    browser.until("return document.querySelectorAll('#rows > tr').length === 200").await?;
    browser
        .run(
            "document.documentElement.dataset.frame = 0; window.long = []; new PerformanceObserver(l => \
                 window.long.push(...l.getEntries().map(e => e.duration))).observe({ type: 'longtask' })",
        )
        .await?;
    sleep(Duration::from_secs(6)).await;
    let found = browser.run("return [Number(document.documentElement.dataset.frame), window.long]").await?;
    let rows = browser.run(TABLE).await?;
    streams.iter().for_each(tokio::task::JoinHandle::abort);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    // Rows outside the window are not kept up to date.
    let moving = (0..20).filter(|row| rate(&rows[*row][7]) > 1.0).count();
    say(&format!(
        "10,000 calls: an event takes the page {} ms at most; tasks of more than 50 ms: {}",
        found[0], found[1]
    ));
    if moving < 20 {
        return Err(format!("{moving} of the first 20 rows are streams: {rows}"));
    }
    // Other programs may use the processor for a moment.
    if found[1].as_array().is_none_or(|long| long.len() > 2) {
        return Err(format!("of about 12 frames these took more than 50 ms: {}", found[1]));
    }
    match found[0].as_f64() {
        Some(0.1..50.0) => Ok(()),
        other => Err(format!("an event takes {other:?} ms")),
    }
}

async fn looks(service: &Service, browser: &Browser) -> Result<(), String> {
    let (callee, caller) = (service.join().await?, service.join().await?);
    callee.register("com.example.paced", paced).await.map_err(text)?;
    callee.register("com.example.report.yearly", endless).await.map_err(text)?;
    callee.subscribe("com.example.news", |_: wamp_client::Event| async {}).await.map_err(text)?;
    let _streams = [3.0, 40.0, 150.0].map(|rate| watch_stream(&caller, "com.example.paced", rate));
    let _call = tokio::spawn(caller.call("com.example.report.yearly").into_future());
    // A fault, for the red line.
    let refused = connect(format!("ws://{}/ws", service.router)).realm("nowhere").no_reconnect().await;
    if refused.is_ok() {
        return Err("there is a realm `nowhere`".to_owned());
    }
    let axe = std::fs::read_to_string(here(".cache/npm/node_modules/axe-core/axe.min.js")).map_err(text)?;
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")] {
        browser.look(width, scheme).await?;
        browser.open(&service.page()).await?;
        browser.run(&axe).await?;
        for view in ["calls", "sessions", "registrations", "subscriptions", "realms"] {
            browser.run(&format!("document.getElementById('tab-{view}').click()")).await?;
            browser.until("return document.querySelectorAll('#rows > tr').length > 0").await?;
            browser.run("document.querySelector('#rows button.name').click()").await?;
            browser.until("return document.querySelector('tr.detail')").await?;
            if view == "calls" {
                sleep(Duration::from_secs(3)).await;
                refuse_once(service).await;
                browser.until("return !document.getElementById('fault').hidden").await?;
            }
            browser.screenshot(&picture(&format!("{view}-{scheme}-{width}"))?).await?;
            let found = browser
                .run_async("const done = arguments[0]; axe.run().then(r => done(r.violations.map(v => [v.id, v.help, \
                            v.nodes.map(n => n.html + ' ' + n.failureSummary)])), e => done([String(e)]))")
                .await?;
            if found.as_array().is_none_or(|found| !found.is_empty()) {
                return Err(format!("axe-core, {view}, {scheme}, {width} px: {found:#}"));
            }
            let wide = browser.run("return document.documentElement.scrollWidth - innerWidth").await?;
            if wide.as_i64().is_none_or(|wide| wide > 0) {
                return Err(format!("{view}, {width} px: the page is {wide} px too wide"));
            }
        }
    }
    Ok(())
}

/// Tries to join a realm that does not exist.
async fn refuse_once(service: &Service) {
    let _ = connect(format!("ws://{}/ws", service.router)).realm("nowhere").no_reconnect().await;
}

async fn keyboard(service: &Service, browser: &Browser) -> Result<(), String> {
    let session = service.join().await?;
    for procedure in ["com.example.one", "com.example.two", "com.other.three"] {
        session.register(procedure, endless).await.map_err(text)?;
    }
    browser.open(&service.page()).await?;
    let press = |target: &str, key: &str| {
        format!(
            "{target}.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true, cancelable: true }}))"
        )
    };
    let tab = "document.activeElement";
    browser.run("document.getElementById('tab-calls').focus()").await?;
    for _ in 0..2 {
        browser.run(&press(tab, "ArrowRight")).await?;
    }
    let (shown, _) = browser
        .until("return document.querySelectorAll('#rows > tr').length === 3 && document.activeElement.id")
        .await?;
    if shown != "tab-registrations" {
        return Err(format!("the focus is at {shown}"));
    }
    browser.run(&press("document.body", "/")).await?;
    if browser.run("return document.activeElement.id").await? != "filter" {
        return Err("the key / does not lead to the filter".to_owned());
    }
    let typed = "const f = document.getElementById('filter'); f.value = 'EXAMPLE'; f.dispatchEvent(new Event('input'))";
    browser.run(typed).await?;
    browser
        .until("return document.getElementById('count').textContent === '2 of 2, filtered from 3'")
        .await?;
    browser.run(&press("document.getElementById('filter')", "Escape")).await?;
    browser.until("return document.querySelectorAll('#rows > tr').length === 3").await?;
    // Sorted by name, first down and then up.
    browser.run("document.querySelectorAll('#head button')[0].click()").await?;
    browser
        .until("return document.querySelector('#rows button.name').textContent === 'com.example.one'")
        .await?;
    browser.run("document.querySelectorAll('#head button')[0].click()").await?;
    browser
        .until("return document.querySelector('#rows button.name').textContent === 'com.other.three'")
        .await?;
    let sorted = browser.run("return document.querySelector('th').getAttribute('aria-sort')").await?;
    if sorted != "descending" {
        return Err(format!("aria-sort is {sorted}"));
    }
    Ok(())
}

async fn restart(service: &Service, browser: &Browser) -> Result<(), String> {
    browser.open(&service.page()).await?;
    browser.until("return document.getElementById('state').textContent === 'live'").await?;
    // An event of a router that has run for days, then two of another process.
    let events = "wanted.abort(); \
                  const event = (now_ms, x) => take('change', { summary: { now_ms, version: '', faults: { x } }, set: [], gone: [] }); \
                  event(1e9, 7); event(1000, 1); event(1500, 3); \
                  return document.getElementById('fault').innerText";
    match browser.run(events).await?.as_str() {
        Some("In the last minute: 2 × x") => Ok(()),
        shown => Err(format!("shown is {shown:?}")),
    }
}
