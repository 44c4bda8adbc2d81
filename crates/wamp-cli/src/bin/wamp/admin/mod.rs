//! The admin listener of a router, over HTTP: for commands that show what runs.

pub(crate) mod calls;
mod table;
pub(crate) mod top;

use std::fs;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::document::Document;
use crate::fail::{Code, Fail};
use crate::insecure;
use crate::options::Global;
use crate::output::Object;

/// The longest answer that is read, in bytes.
const ANSWER: usize = 32 << 20;

/// The time for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The admin listener.
#[derive(clap::Args)]
pub(crate) struct AdminOptions {
    /// URL of the admin listener of the router.
    #[arg(
        long,
        env = "WAMP_ADMIN",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:9090"
    )]
    admin: String,

    /// File with the token of the admin listener. Or the variable WAMP_ADMIN_TOKEN has the token.
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<String>,
}

/// A client of an admin listener. It makes a connection for each request.
pub(crate) struct AdminApi {
    url: Url,
    token: Option<String>,
    tls: Option<wamp_tls::Client>,
    connect_timeout: Duration,
}

impl AdminApi {
    /// # Errors
    /// The URL, the token or a certificate cannot be used.
    pub(crate) fn new(options: &AdminOptions, global: &Global) -> Result<Self, Fail> {
        let wrong = |why: &str| Fail::usage(format!("admin: {}: {why}", options.admin));
        let url = Url::parse(&options.admin).map_err(|error| wrong(&error.to_string()))?;
        let tls = match url.scheme() {
            "http" => None,
            "https" => Some(tls(global)?),
            _ => return Err(wrong("the URL must begin with http:// or https://")),
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("the URL has no host"));
        }
        let token = match &options.admin_token_file {
            Some(file) => {
                Some(fs::read_to_string(file).map_err(|error| Fail::usage(format!("{file}: {error}")))?)
            }
            None => std::env::var("WAMP_ADMIN_TOKEN").ok(),
        };
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        Ok(Self { url, token, tls, connect_timeout: global.connect_timeout })
    }

    /// Gets a path with parameters.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub(crate) async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, Fail> {
        let mut url = self.url.clone();
        url.set_path(path);
        url.query_pairs_mut().extend_pairs(parameters);
        let answer = timeout(PATIENCE + self.connect_timeout, self.ask(&url)).await;
        let answer = answer.map_err(|_| self.fail(Code::Timeout, "no answer"))??;
        serde_json::from_slice(&answer).map_err(|_| self.fail(Code::NoSession, "this is no admin listener"))
    }

    fn fail(&self, code: Code, why: &str) -> Fail {
        Fail::new(code, format!("admin: {}: {why}", self.url.as_str().trim_end_matches('/')))
    }

    async fn ask(&self, url: &Url) -> Result<Vec<u8>, Fail> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        // Brackets of an IPv6 address belong to the URL only.
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let connected = timeout(self.connect_timeout, TcpStream::connect((name, port))).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let fail = self.fail(Code::NoSession, &error.to_string());
                return Err(fail.hint("switch it on with: wamp-router --admin 127.0.0.1:9090"));
            }
            Err(_) => return Err(self.fail(Code::NoSession, "no connection within the connect timeout")),
        };
        match &self.tls {
            None => self.request(url, stream).await,
            Some(tls) => {
                let stream = tls.connect(name, stream).await;
                let stream = stream.map_err(|error| self.fail(Code::NoSession, &error.to_string()))?;
                self.request(url, stream).await
            }
        }
    }

    async fn request<S>(&self, url: &Url, stream: S) -> Result<Vec<u8>, Fail>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let lost = |error: hyper::Error| self.fail(Code::NoSession, &error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let driver = tokio::spawn(connection);
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            target = format!("{target}?{query}");
        }
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let mut request = Request::get(target).header(header::HOST, host);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(String::new());
        let request = request.map_err(|_| self.fail(Code::Usage, "the token has invalid characters"))?;
        let response = sender.send_request(request).await.map_err(lost)?;
        let status = response.status();
        let body = read(response.into_body()).await.map_err(|why| self.fail(Code::NoSession, &why))?;
        driver.abort();
        if status == StatusCode::UNAUTHORIZED {
            let fail = self.fail(Code::NoSession, "the listener wants its token");
            return Err(fail.hint("name the file with the token: --admin-token-file FILE"));
        }
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body);
            return Err(self.fail(Code::Answered, &wamp_proto::shown(text.trim(), 300).to_string()));
        }
        Ok(body)
    }
}

/// Reads a body, up to the limit.
async fn read(mut body: Incoming) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > ANSWER {
            return Err("the answer is too long".to_owned());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// A value of an answer. Texts of clients in it are escaped when it is printed.
fn document(value: &Value) -> Document {
    // Every value is a document.
    serde_json::from_value(value.clone()).unwrap_or(Document::Null)
}

/// An object of this type with the fields of an answer.
fn object(kind: &str, fields: &Value) -> Object {
    let fields = fields.as_object().into_iter().flatten();
    fields.fold(Object::new(kind), |object, (name, value)| object.with(name, document(value)))
}

fn tls(global: &Global) -> Result<wamp_tls::Client, Fail> {
    let client = wamp_tls::Client::new();
    if global.insecure {
        return Ok(client.config(insecure::config()?));
    }
    match &global.ca {
        Some(path) => {
            let pem = fs::read(path).map_err(|error| Fail::usage(format!("{}: {error}", path.display())))?;
            Ok(client.authorities(pem))
        }
        None => Ok(client),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_texts_are_escaped_in_json() {
        let row = serde_json::json!({ "authid": "a\u{9b}31m", "held_by": null, "results": 3 });
        assert_eq!(document(&row).to_json(), r#"{"authid":"a\u009b31m","held_by":null,"results":3}"#);
    }
}
