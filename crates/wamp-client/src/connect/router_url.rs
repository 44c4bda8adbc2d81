//! URLs of routers.

use url::{Host, Url};

use super::error::ConnectError;

const SCHEMES: &str = "it must begin with ws://, wss://, rs://, rss:// or rs+unix://";

/// A URL of a router, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RouterUrl {
    Tcp {
        kind: Kind,
        tls: bool,
        /// A name or an address, without brackets.
        host: String,
        port: u16,
        /// The URL for the request of a WebSocket, without user, password and fragment.
        request: String,
    },
    Unix {
        path: String,
    },
}

/// The transport that a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    WebSocket,
    RawSocket,
}

impl RouterUrl {
    pub(super) fn parse(text: &str) -> Result<Self, ConnectError> {
        let bad = |why: &str| Err(ConnectError::bad_url(text, why));
        let Some((scheme, rest)) = text.split_once("://") else {
            return bad(SCHEMES);
        };
        let (kind, tls) = match scheme.to_ascii_lowercase().as_str() {
            "ws" => (Kind::WebSocket, false),
            "wss" => (Kind::WebSocket, true),
            "rs" => (Kind::RawSocket, false),
            "rss" => (Kind::RawSocket, true),
            // A path is taken as it is.
            "rs+unix" if rest.starts_with('/') => return Ok(Self::Unix { path: rest.to_owned() }),
            "rs+unix" => return bad("it must be rs+unix:///path"),
            "http" => return bad("it must begin with ws:// instead of http://"),
            "https" => return bad("it must begin with wss:// instead of https://"),
            _ => return bad(SCHEMES),
        };
        // The URL standard skips further slashes, and would take the path for the host.
        if rest.starts_with('/') {
            return bad("there is no host");
        }
        let mut url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => return bad(&error.to_string()),
        };
        let host = match url.host() {
            // The hosts of schemes that the standard does not know are not looked at there.
            Some(Host::Domain(name)) => match Host::parse(name) {
                Ok(host) => host.to_string(),
                Err(error) => return bad(&error.to_string()),
            },
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return bad("there is no host"),
        };
        let Some(port) = url.port_or_known_default() else {
            return bad(&format!("it must name a port, as {}://host:port", url.scheme()));
        };
        if kind == Kind::RawSocket && (!matches!(url.path(), "" | "/") || url.query().is_some()) {
            return bad(&format!("RawSocket has no path: it must be {}://host:port", url.scheme()));
        }
        // Of a URL with a host these can be removed.
        let _ = (url.set_username(""), url.set_password(None));
        url.set_fragment(None);
        Ok(Self::Tcp { kind, tls, host, port, request: url.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        match RouterUrl::parse(text) {
            Ok(RouterUrl::Tcp { kind, tls, host, port, request }) => {
                let request = if kind == Kind::WebSocket { request } else { "-".to_owned() };
                format!("{kind:?} {tls} {host} {port} {request}")
            }
            Ok(RouterUrl::Unix { path }) => format!("Unix {path}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn urls_and_where_they_go() {
        let table = [
            ("ws://localhost", "WebSocket false localhost 80 ws://localhost/"),
            ("ws://localhost:8080/ws?a=b#c", "WebSocket false localhost 8080 ws://localhost:8080/ws?a=b"),
            ("WS://Example.COM:8080/Ws", "WebSocket false example.com 8080 ws://example.com:8080/Ws"),
            ("wss://example.com", "WebSocket true example.com 443 wss://example.com/"),
            ("wss://alice:secret@example.com/ws", "WebSocket true example.com 443 wss://example.com/ws"),
            ("ws://[::1]:8080/", "WebSocket false ::1 8080 ws://[::1]:8080/"),
            (
                "ws://b\u{fc}cher.example/",
                "WebSocket false xn--bcher-kva.example 80 ws://xn--bcher-kva.example/",
            ),
            ("ws://example.com/a b", "WebSocket false example.com 80 ws://example.com/a%20b"),
            ("rs://127.0.0.1:8080", "RawSocket false 127.0.0.1 8080 -"),
            ("rs://b\u{fc}cher.example:80/", "RawSocket false xn--bcher-kva.example 80 -"),
            ("rss://[::1]:8080", "RawSocket true ::1 8080 -"),
            ("rs+unix:///run/a b%20.sock", "Unix /run/a b%20.sock"),
        ];
        for (text, expected) in table {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn the_fault_of_a_url_is_one_sentence_with_the_url() {
        let table = [
            ("localhost:8080", SCHEMES),
            ("", SCHEMES),
            ("tcp://localhost:8080", SCHEMES),
            ("http://localhost/ws", "it must begin with ws:// instead of http://"),
            ("https://localhost/ws", "it must begin with wss:// instead of https://"),
            ("ws://", "empty host"),
            ("wss:///ws", "there is no host"),
            ("ws://localhost:port/", "invalid port number"),
            ("ws://localhost:99999/", "invalid port number"),
            ("ws://a b/", "invalid international domain name"),
            ("rs://localhost", "it must name a port, as rs://host:port"),
            ("rss://localhost", "it must name a port, as rss://host:port"),
            ("rs://:8080", "empty host"),
            ("rs://localhost:8080/ws", "RawSocket has no path: it must be rs://host:port"),
            ("rs+unix://run/wamp.sock", "it must be rs+unix:///path"),
        ];
        for (text, sentence) in table {
            assert_eq!(parsed(text), format!("{text}: {sentence}"));
        }
        assert_eq!(parsed("ftp://alice:secret@host/"), format!("ftp://alice:***@host/: {SCHEMES}"));
    }
}
