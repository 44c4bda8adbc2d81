//! The requirements of the rows: the foreign software, and our router as a program.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;

use tokio::process::Command;

use crate::peer::{Library, Peer};
use crate::tls;

/// The folder of this package.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

#[derive(Debug)]
pub struct Tools {
    /// The program `wamp-router`.
    pub wamp_router: PathBuf,
    /// The program `wamp`.
    pub wamp: PathBuf,
    /// Before Node 22, Autobahn|JS finds WebSocket by this flag.
    node_flag: Option<&'static str>,
}

pub async fn prepare() -> Result<Arc<Tools>, String> {
    let mut install = Command::new(here("install.sh"));
    let output = output(&mut install).await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    let wamp_router = wamp_router().await?;
    let wamp = wamp_router.with_file_name("wamp");
    Ok(Arc::new(Tools { node_flag: node_flag().await?, wamp_router, wamp }))
}

impl Tools {
    /// The command that runs a foreign peer as `caller` or `callee`.
    pub fn peer(&self, peer: Peer, role: &str) -> Command {
        let mut command = self.program(peer, role);
        command.env("NODE_EXTRA_CA_CERTS", tls::authority()).env("SSL_CERT_FILE", tls::authority());
        command
    }

    fn program(&self, peer: Peer, role: &str) -> Command {
        match peer.library {
            Library::AutobahnPython => {
                let mut command = Command::new(in_python("python"));
                command.arg(here(format!("peers/autobahn-python/{role}.py")));
                command
            }
            Library::AutobahnJs => {
                let mut command = Command::new("node");
                command.args(self.node_flag).arg(here(format!("peers/autobahn-js/{role}.mjs")));
                command
            }
            Library::Wampy => {
                let mut command = Command::new("node");
                command.arg(here(format!("peers/wampy/{role}.mjs")));
                command
            }
            Library::Ours => unreachable!("it is no program"),
        }
    }
}

/// A path in this package.
pub fn here(path: impl AsRef<Path>) -> PathBuf {
    Path::new(HERE).join(path)
}

/// The path of a program in the Python environment.
pub fn in_python(program: &str) -> PathBuf {
    here(".cache/venv/bin").join(program)
}

async fn output(command: &mut Command) -> Result<Output, String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    output.map_err(|error| format!("cannot start {program}: {error}"))
}

async fn node_flag() -> Result<Option<&'static str>, String> {
    let output = output(Command::new("node").arg("--version")).await?;
    let version = String::from_utf8_lossy(&output.stdout);
    let major =
        version.trim().trim_start_matches('v').split('.').next().and_then(|word| word.parse::<u32>().ok());
    match major {
        Some(major) => Ok((major < 22).then_some("--experimental-websocket")),
        None => Err(format!("node --version says {version:?}")),
    }
}

/// Builds `wamp-router` and returns its path.
async fn wamp_router() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .args(["build", "--package", "wamp-cli", "--message-format", "json-render-diagnostics"])
        .current_dir(HERE);
    let output = output(&mut build).await?;
    if !output.status.success() {
        return Err(format!("wamp-router does not build:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "wamp-router")
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
        .ok_or_else(|| "cargo does not report the path of wamp-router".to_owned())
}
