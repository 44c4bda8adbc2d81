//! The origins of web pages that may connect (RFC 6454; RFC 6455, 10.2).
//!
//! A browser lets every page connect to every server, and sends the origin of the page. A server that a browser reaches
//! and others do not, such as one on the same machine or in the same network, has to refuse pages of strangers.
//!
//! A stranger can also let the name of its own host lead to 127.0.0.1 once its page is loaded (*DNS rebinding*); the page is
//! then one of the same host. So over a loopback address the host has to be named by an IP address or as `localhost`.

use std::fmt;
use std::net::IpAddr;

use tungstenite::http::uri::Authority;
use tungstenite::http::{HeaderMap, Uri, header};

/// The origins of web pages that may connect. By default those of the same host, on any port.
///
/// If the connection comes from a loopback address, the page has to name that host by an IP address or as `localhost`, since
/// any name can be made to lead there. A proxy on the same machine that passes on the name of a public host needs the
/// origin of its pages [here](Self::with).
///
/// A client that sends no `Origin` is not a browser, and may connect.
///
/// ```
/// use wamp_transport_ws::{Config, Origins};
///
/// let mut config = Config::default();
/// config.origins = Origins::same_host().with("https://app.example");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    /// Whether the host must be named by an IP address or as `localhost`.
    over_loopback: bool,
    others: Vec<String>,
}

/// A text that is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an origin: write \"https://app.example\", \"http://localhost:3000\", \"null\", or \"*\" for all"
)]
pub struct NotAnOrigin(String);

impl Origins {
    /// Pages of the host that the request names.
    pub fn same_host() -> Self {
        Self::default()
    }

    /// Pages of everybody.
    pub fn any() -> Self {
        Self { any: true, ..Self::default() }
    }

    /// Accepts pages of the same host only if the request names it by an IP address or as `localhost`: for a connection from
    /// a loopback address. [`accept`](crate::accept()) does so by itself.
    #[must_use]
    pub fn over_loopback(mut self) -> Self {
        self.over_loopback = true;
        self
    }

    /// Adds an origin, as a browser writes it: scheme, host, and the port unless it is the usual one; `null` for pages
    /// without one, such as files.
    #[must_use]
    pub fn with(mut self, origin: impl Into<String>) -> Self {
        self.others.push(origin.into().to_ascii_lowercase());
        self
    }

    /// Adds an origin that has been written by a person; `*` stands for all.
    ///
    /// # Errors
    /// The text is not an origin.
    pub fn add(&mut self, origin: &str) -> Result<(), NotAnOrigin> {
        let wrong = || NotAnOrigin(origin.to_owned());
        match origin {
            "*" => self.any = true,
            "null" => self.others.push(origin.to_owned()),
            _ => {
                let (scheme, authority) = origin.split_once("://").ok_or_else(wrong)?;
                let is_scheme = !scheme.is_empty()
                    && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
                let parsed: Authority = authority.parse().map_err(|_| wrong())?;
                if !is_scheme || authority.contains(['@', '*']) || parsed.host().is_empty() {
                    return Err(wrong());
                }
                self.others.push(origin.to_ascii_lowercase());
            }
        }
        Ok(())
    }

    /// Returns whether everybody may connect.
    pub fn are_any(&self) -> bool {
        self.any
    }

    /// Returns the origins that were added.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// Checks a request.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Foreign> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (Some(origin), false) = (origins.next(), self.any) else { return Ok(()) };
        let text = String::from_utf8_lossy(origin.as_bytes()).to_ascii_lowercase();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        let page = text.parse::<Uri>().ok();
        let is_same = match (&host, page.as_ref().and_then(Uri::host)) {
            (Some(host), Some(page)) => {
                let host = host.host();
                host.eq_ignore_ascii_case(page) && (!self.over_loopback || is_fixed(host))
            }
            _ => false,
        };
        match origins.next().is_none() && (is_same || self.others.contains(&text)) {
            true => Ok(()),
            false => Err(Foreign(text)),
        }
    }
}

/// Returns whether a host is named so that it cannot lead to another address later.
fn is_fixed(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    address.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

/// A page that may not connect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Foreign(String);

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(200).collect();
        write!(f, "pages of {shown:?} may not connect to this server: `allowed_origins` has to name them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origins: &Origins, host: &str, sent: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        for origin in sent {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        origins.check(&headers).is_ok()
    }

    #[test]
    fn pages_of_the_same_host_may_connect_and_others_only_if_they_are_named() {
        let mut named = Origins::same_host().with("https://App.example");
        named.add("null").unwrap();
        let table: [(&str, &[&'static str], bool, bool); 12] = [
            ("router.example", &[], true, true),
            ("router.example", &["https://router.example"], true, true),
            ("router.example:8080", &["http://Router.Example:3000"], true, true),
            ("[::1]:8080", &["http://[::1]"], true, true),
            ("127.0.0.1:8080", &["http://localhost"], false, false),
            ("router.example", &["https://app.example"], false, true),
            ("router.example", &["https://app.example:444"], false, false),
            ("router.example", &["http://app.example"], false, false),
            ("router.example", &["https://router.example.evil.example"], false, false),
            ("router.example", &["null"], false, true),
            ("router.example", &["nonsense %"], false, false),
            ("router.example", &["https://router.example", "https://evil.example"], false, false),
        ];
        for (host, sent, by_default, if_named) in table {
            assert_eq!(check(&Origins::default(), host, sent), by_default, "{host} {sent:?}");
            assert_eq!(check(&named, host, sent), if_named, "{host} {sent:?}, named");
            assert!(check(&Origins::any(), host, sent), "{host} {sent:?}, any");
        }
    }

    #[test]
    fn over_loopback_a_name_that_can_lead_anywhere_is_not_enough() {
        let (rebound, named) = (Origins::default(), Origins::same_host().with("http://router.example"));
        let table: [(&str, &str, bool, bool); 8] = [
            ("evil.example:8080", "http://evil.example:8080", false, false),
            ("localhost.evil.example", "http://localhost.evil.example", false, false),
            ("127.0.0.1.evil.example", "http://127.0.0.1.evil.example", false, false),
            ("router.example", "http://router.example", false, true),
            ("LocalHost:8080", "http://localhost:3000", true, true),
            ("127.0.0.1:8080", "http://127.0.0.1:3000", true, true),
            ("[::1]:8080", "http://[::1]:3000", true, true),
            ("127.0.0.1:8080", "http://evil.example", false, false),
        ];
        for (host, origin, by_default, if_named) in table {
            let check = |origins: &Origins| {
                let mut headers = HeaderMap::new();
                headers.insert(header::HOST, host.parse().unwrap());
                headers.insert(header::ORIGIN, origin.parse().unwrap());
                origins.check(&headers).is_ok()
            };
            assert_eq!(check(&rebound.clone().over_loopback()), by_default, "{host} {origin}");
            assert_eq!(check(&named.clone().over_loopback()), if_named, "{host} {origin}, named");
            assert!(check(&Origins::any().over_loopback()), "{host} {origin}, any");
        }
    }

    #[test]
    fn what_is_not_an_origin_is_refused() {
        let mut origins = Origins::default();
        for wrong in [
            "",
            "app.example",
            "https://",
            "https://a/b",
            "https://*.example",
            "https://user@a",
            "://a",
            "a b://c",
        ] {
            assert!(origins.add(wrong).is_err(), "{wrong}");
        }
        origins.add("http://localhost:3000").unwrap();
        assert!(!origins.are_any() && origins.others() == ["http://localhost:3000"]);
        origins.add("*").unwrap();
        assert!(origins.are_any());
    }
}
