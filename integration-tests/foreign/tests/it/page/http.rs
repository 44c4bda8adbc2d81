//! Requests over HTTP/1.1, each over a connection of its own.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::process::PATIENCE;

/// Sends a request. Returns the body of the answer, whatever its status.
pub async fn request(
    address: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<String, String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        read(&mut stream).await
    };
    let answer = timeout(PATIENCE, exchange).await.map_err(|_| format!("{method} {path}: no answer"))?;
    let answer = answer.map_err(|error| format!("{method} {path}: {error}"))?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("{method} {path}: {text}"))?;
    match head.to_lowercase().contains("transfer-encoding: chunked") {
        true => Ok(unchunked(body)),
        false => Ok(body.to_owned()),
    }
}

/// Reads until the end, or until the announced length is there: a server may keep the connection.
async fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    while stream.read_buf(&mut answer).await? > 0 {
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if length.is_some_and(|length: usize| answer.len() >= head.len() + 4 + length) {
            break;
        }
    }
    Ok(answer)
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        let Some(chunk) = rest.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
        whole += chunk;
        body = rest.get(length + 2..).unwrap_or_default();
    }
    whole
}
