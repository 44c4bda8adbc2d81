//! The page: one HTML file with its script and its style.

use std::sync::{Arc, OnceLock};

use axum::Router as Routes;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::State;

const PAGE: &str = include_str!("page.html");

pub(super) fn routes() -> Routes<Arc<State>> {
    Routes::new().route("/", get(page)).route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
}

async fn page() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response()
}

/// Returns the policy of the page: it runs its own script, which is named by its hash, and connects to this listener only.
pub(super) fn policy() -> HeaderValue {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    let made = || {
        let (script, style) = (hash("script"), hash("style"));
        let policy = format!(
            "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    };
    POLICY.get_or_init(made).clone()
}

/// Returns the hash of the content of an element, as policies have it.
fn hash(element: &str) -> String {
    let begin = format!("<{element}>");
    let content = PAGE.split_once(&begin).and_then(|(_, rest)| rest.split_once(&format!("</{element}>")));
    let content = content.map(|(content, _)| content).unwrap_or_default();
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_has_one_script_and_one_style() {
        assert!(PAGE.len() <= 60 << 10, "{} bytes", PAGE.len());
        for element in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1, "{element}");
        }
        // The policy forbids these, and texts of clients are to be text.
        for unwanted in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "http://", "https://", "eval("]
        {
            assert!(!PAGE.contains(unwanted), "{unwanted}");
        }
        assert!(policy().to_str().unwrap().matches("'sha256-").count() == 2);
    }
}
