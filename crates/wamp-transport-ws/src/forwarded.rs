//! The addresses that HTTP proxies have noted in a request: `Forwarded` (RFC 7239) and `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use tungstenite::http::{HeaderMap, header};

/// The header in which proxies note the address of their client. Only one is read: a proxy that writes one of them
/// mostly passes on the other, as the client has sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded`.
    Forwarded,
}

/// A proxy has noted no usable address of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a proxy has noted no usable address of its client")]
pub struct NoAddress;

/// The addresses in a header, the one of the last proxy first; `None` where there is no address. Each element is read on
/// its own: the first ones are from the client, which must not be able to hide those of the proxies.
pub(crate) fn addresses(headers: &HeaderMap, header: ForwardedHeader) -> Vec<Option<IpAddr>> {
    let name = match header {
        ForwardedHeader::XForwardedFor => header::HeaderName::from_static("x-forwarded-for"),
        ForwardedHeader::Forwarded => header::FORWARDED,
    };
    let mut found = Vec::new();
    for value in headers.get_all(name) {
        let elements = value.as_bytes().split(|byte| *byte == b',');
        found.extend(elements.map(|element| {
            let element = std::str::from_utf8(element).ok()?;
            let node = match header {
                ForwardedHeader::XForwardedFor => element.trim(),
                ForwardedHeader::Forwarded => element.split(';').find_map(|pair| {
                    let (key, value) = pair.split_once('=')?;
                    key.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
                })?,
            };
            address(node)
        }));
    }
    found.reverse();
    found
}

/// The address of a node, which may have a port.
fn address(node: &str) -> Option<IpAddr> {
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = node.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    node.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tungstenite::http::HeaderValue;

    use super::*;

    fn read(header: ForwardedHeader, name: &'static str, values: &[&[u8]]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let shown = |address: Option<IpAddr>| address.map_or("-".to_owned(), |address| address.to_string());
        addresses(&headers, header).into_iter().map(shown).collect()
    }

    #[test]
    fn addresses_are_read_from_the_last_proxy_on() {
        let table: [(ForwardedHeader, &str, &[&str], &[&str]); 6] = [
            (ForwardedHeader::XForwardedFor, "x-forwarded-for", &["192.0.2.1"], &["192.0.2.1"]),
            (
                ForwardedHeader::XForwardedFor,
                "X-Forwarded-For",
                &["192.0.2.1, 2001:db8::1", "192.0.2.3:4711,[2001:db8::4]:1,unknown"],
                &["-", "2001:db8::4", "192.0.2.3", "2001:db8::1", "192.0.2.1"],
            ),
            (ForwardedHeader::XForwardedFor, "forwarded", &["for=192.0.2.1"], &[]),
            (
                ForwardedHeader::Forwarded,
                "forwarded",
                &["for=192.0.2.60;proto=http;by=203.0.113.43", "For=\"[2001:db8:cafe::17]:4711\""],
                &["2001:db8:cafe::17", "192.0.2.60"],
            ),
            (
                ForwardedHeader::Forwarded,
                "forwarded",
                &["for=_hidden, by=192.0.2.1, for=\"[::1]\""],
                &["::1", "-", "-"],
            ),
            (ForwardedHeader::Forwarded, "x-forwarded-for", &["192.0.2.1"], &[]),
        ];
        for (header, name, values, expected) in table {
            let bytes: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(read(header, name, &bytes), expected, "{values:?}");
        }
    }

    #[test]
    fn a_client_cannot_hide_the_address_that_a_proxy_has_noted() {
        for hides in [&b"\xff"[..], b"", b"\"", b"\xc3", b"\t"] {
            let value = [hides, b", 192.0.2.1"].concat();
            let read_as = read(ForwardedHeader::XForwardedFor, "x-forwarded-for", &[&value]);
            assert_eq!(read_as, ["192.0.2.1", "-"], "{hides:?}");
            let value = [hides, b", for=192.0.2.1"].concat();
            let read_as = read(ForwardedHeader::Forwarded, "forwarded", &[&value]);
            assert_eq!(read_as, ["192.0.2.1", "-"], "{hides:?}");
        }
    }
}
