//! TCP connections to a host, directly or through a proxy.
//!
//! All addresses of a host are tried, those of the other family 300 ms after the first (happy eyeballs).

use std::error::Error;
use std::future::{Ready, ready};
use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::error::{ConnectError, ConnectErrorKind, shown};

/// The choice of a proxy.
#[derive(Clone, Debug, Default)]
pub(crate) enum Proxy {
    /// The proxy that the environment names, if any.
    #[default]
    Environment,
    None,
    /// The proxy with this URL.
    Given(String),
}

/// A host to connect to.
#[derive(Clone, Copy)]
pub(super) struct Destination<'a> {
    /// The URL of the router, for errors.
    pub(super) url: &'a str,
    /// A name or an address, without brackets.
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// It is the host of a `wss://` URL.
    pub(super) is_wss: bool,
}

/// Connects to a host.
pub(super) async fn dial(
    to: Destination<'_>,
    proxy: &Proxy,
    timeout: Duration,
) -> Result<TcpStream, ConnectError> {
    match proxy.of(to, |name| std::env::var(name).ok())? {
        None => reach(to.uri(to.host)?, timeout).await.map_err(|it| {
            to.failed(format!("cannot connect to {}: {}", to.address(), deepest(&*it))).with_source(it)
        }),
        Some(proxy) => through(to, &proxy, timeout).await,
    }
}

/// Connects to the host of a URI.
async fn reach(uri: Uri, timeout: Duration) -> Result<TcpStream, Box<dyn Error + Send + Sync>> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    // All addresses of a family share this time.
    connector.set_connect_timeout(Some(timeout));
    Ok(connector.call(uri).await?.into_inner())
}

/// The last error of a chain, which has the text of the operating system.
fn deepest<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(deeper) = error.source() {
        error = deeper;
    }
    error
}

/// Connects through a proxy.
async fn through(
    to: Destination<'_>,
    proxy: &Intercept,
    timeout: Duration,
) -> Result<TcpStream, ConnectError> {
    let at = proxy.uri().authority().map(ToString::to_string).unwrap_or_default();
    let uri = match proxy.uri().scheme_str() {
        // With this scheme the client looks up the name.
        Some("socks5") => {
            let mut found = tokio::net::lookup_host((to.host, to.port)).await;
            match found.as_mut().map(Iterator::next) {
                Ok(Some(address)) => to.uri(&address.ip().to_string())?,
                Ok(None) => return Err(to.failed(format!("{} has no address", to.host))),
                Err(error) => return Err(to.failed(format!("cannot connect to {}: {error}", to.address()))),
            }
        }
        Some("http" | "socks5h") => to.uri(to.host)?,
        scheme => {
            let scheme = scheme.unwrap_or_default();
            let why = format!("a proxy must be http://, socks5:// or socks5h://, and {at} is {scheme}://");
            return Err(ConnectError::bad_url(to.url, &why));
        }
    };
    let stream = reach(proxy.uri().clone(), timeout).await.map_err(|it| {
        to.failed(format!("cannot connect to the proxy {at}: {}", deepest(&*it))).with_source(it)
    })?;
    let connected = Connected(Some(TokioIo::new(stream)));
    let answered = if proxy.uri().scheme_str() == Some("http") {
        let mut tunnel = Tunnel::new(proxy.uri().clone(), connected);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        tunnel.call(uri).await.map_err(|error| error.to_string())
    } else {
        let mut socks = SocksV5::new(proxy.uri().clone(), connected);
        if let Some((user, password)) = proxy.raw_auth() {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        socks.call(uri).await.map_err(|error| error.to_string())
    };
    answered.map(TokioIo::into_inner).map_err(|answer| to.failed(refusal(&at, &to.address(), &answer)))
}

/// A sentence about the answer of a proxy.
fn refusal(proxy: &str, address: &str, answer: &str) -> String {
    match answer {
        "tunnel error: proxy authorization required" => {
            format!("the proxy {proxy} wants a name and a password, or others (HTTP 407)")
        }
        "SOCKS error: credentials not accepted" => {
            format!("the proxy {proxy} does not accept the name and the password")
        }
        "tunnel error: unsuccessful" => format!("the proxy {proxy} refuses to connect to {address}"),
        answer => format!("the proxy {proxy} does not connect to {address}: {answer}"),
    }
}

impl Proxy {
    /// The proxy for a host, if there is one.
    fn of(
        &self,
        to: Destination<'_>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Intercept>, ConnectError> {
        match self {
            Proxy::None => Ok(None),
            Proxy::Given(url) => {
                match Matcher::builder().all(url.clone()).build().intercept(&to.uri(to.host)?) {
                    Some(proxy) => Ok(Some(proxy)),
                    None => {
                        let why = format!("{:?} is not the URL of a proxy, as http://proxy:3128", shown(url));
                        Err(ConnectError::bad_url(to.url, &why))
                    }
                }
            }
            Proxy::Environment if is_loopback(to.host) => Ok(None),
            Proxy::Environment => {
                let first = |names: [&str; 2]| names.iter().find_map(|name| environment(name));
                let mut matcher = Matcher::builder();
                if let Some(all) = first(["ALL_PROXY", "all_proxy"]) {
                    matcher = matcher.all(all);
                }
                if let Some(https) = first(["HTTPS_PROXY", "https_proxy"]) {
                    matcher = matcher.https(https);
                }
                if let Some(no) = first(["NO_PROXY", "no_proxy"]) {
                    matcher = matcher.no(no);
                }
                Ok(matcher.build().intercept(&to.uri(to.host)?))
            }
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Destination<'_> {
    fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// The scheme in the terms of HTTP: a proxy for HTTPS is for `https`.
    fn uri(&self, host: &str) -> Result<Uri, ConnectError> {
        let scheme = if self.is_wss { "https" } else { "http" };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let uri = format!("{scheme}://{host}:{}/", self.port).parse();
        uri.map_err(|error: http::uri::InvalidUri| ConnectError::bad_url(self.url, &error.to_string()))
    }

    fn failed(&self, why: String) -> ConnectError {
        ConnectError::new(self.url, ConnectErrorKind::Connect, why)
    }
}

/// A connection to a proxy, for the handshake with it.
struct Connected(Option<TokioIo<TcpStream>>);

impl Service<Uri> for Connected {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<TcpStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(host: &'static str, is_wss: bool) -> Destination<'static> {
        Destination { url: "wss://the-url", host, port: 443, is_wss }
    }

    fn found(to: Destination<'_>, environment: &[(&str, &str)]) -> Option<String> {
        let lookup = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let proxy = Proxy::Environment.of(to, lookup).unwrap();
        proxy.map(|proxy| proxy.uri().authority().unwrap().to_string())
    }

    #[test]
    fn the_environment_names_the_proxy() {
        let https = ("HTTPS_PROXY", "http://web:3128");
        let all = ("all_proxy", "socks5h://alice:secret@any:1080");
        let wss = to("example.com", true);
        let other = to("example.com", false);
        assert_eq!(found(wss, &[https, all]).as_deref(), Some("web:3128"));
        assert_eq!(found(wss, &[all]).as_deref(), Some("any:1080"));
        assert_eq!(found(other, &[https]), None);
        assert_eq!(found(other, &[https, all]).as_deref(), Some("any:1080"));
        // A proxy for web pages often allows no port but that of HTTPS.
        assert_eq!(found(other, &[("HTTP_PROXY", "http://web:3128")]), None);
        assert_eq!(found(wss, &[https, ("NO_PROXY", "example.org, .example.com")]), None);
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(found(to(host, true), &[https, all]), None, "{host}");
        }
    }

    #[test]
    fn a_proxy_that_is_none_is_an_error_without_its_password() {
        let given = Proxy::Given("ftp://alice:secret@proxy".to_owned());
        let error = given.of(to("example.com", true), |_| None).map(|_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "wss://the-url: \"ftp://alice:***@proxy\" is not the URL of a proxy, as http://proxy:3128"
        );
    }
}
