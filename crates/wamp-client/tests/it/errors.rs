//! Errors of handlers at their callers, and the texts of errors.

use wamp_client::{CallError, Client, Failure, Invocation, Payload, Serializer, Session, Uri, typed, uri};
use wamp_router::Router;

async fn joined() -> (Session, Router) {
    let router = Router::default();
    (Client::over(router.local()).await.unwrap(), router)
}

#[derive(Debug, thiserror::Error)]
enum BankError {
    #[error("the account lacks {0}")]
    NoCover(u64),
    #[error("not an amount: {0}")]
    Amount(#[from] wamp_client::PayloadError),
}

impl BankError {
    fn failure(self) -> Failure {
        match &self {
            BankError::NoCover(missing) => {
                Failure::from_error("com.bank.error.no_cover", &self).kwarg("missing", missing)
            }
            BankError::Amount(_) => Failure::from_error(uri::INVALID_ARGUMENT, &self),
        }
    }
}

async fn withdraw(call: Invocation) -> Result<u64, BankError> {
    let amount: u64 = call.decode()?;
    100_u64.checked_sub(amount).ok_or_else(|| BankError::NoCover(amount - 100))
}

/// Its handler answers with each kind of error that `?` takes.
async fn any(call: Invocation) -> Result<(), Failure> {
    let boxed = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> { Err("a box".into()) };
    let anyhow = || -> Result<(), anyhow::Error> { Err(anyhow::anyhow!("inner").context("outer")) };
    match call.decode::<u32>()? {
        0 => Ok("x".parse::<u32>().map(drop)?),
        1 => Ok(boxed()?),
        2 => Ok(anyhow()?),
        3 => Err("a text".into()),
        4 => Err(format!("text {}", 4).into()),
        5 => Err(std::io::Error::other("an io error"))?,
        6 => Err(BankError::NoCover(6))?,
        _ => Err(BankError::failure(BankError::NoCover(7))),
    }
}

fn shown(result: Result<wamp_client::CallResult, CallError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn every_error_becomes_a_failure_by_the_question_mark() {
    let (session, _router) = joined().await;
    session.register("any", any).await.unwrap();
    let expected = [
        "wamp.error.runtime_error: invalid digit found in string",
        "wamp.error.runtime_error: a box",
        "wamp.error.runtime_error: outer",
        "wamp.error.runtime_error: a text",
        "wamp.error.runtime_error: text 4",
        "wamp.error.runtime_error: an io error",
        "wamp.error.runtime_error: the account lacks 6",
        "com.bank.error.no_cover: the account lacks 7 (missing: 7)",
    ];
    for (i, expected) in expected.into_iter().enumerate() {
        assert_eq!(shown(session.call("any").arg(i).await), expected);
    }
    assert!(shown(session.call("any").arg("x").await).starts_with("wamp.error.invalid_argument"));
}

#[tokio::test]
async fn errors_of_the_applications_own_keep_their_uri_and_arguments() {
    let (session, _router) = joined().await;
    session.register("withdraw", typed(withdraw, BankError::failure)).await.unwrap();
    assert_eq!(session.call("withdraw").arg(40).await.unwrap().decode::<u64>().unwrap(), 60);
    let no_cover = "com.bank.error.no_cover: the account lacks 3 (missing: 3)";
    assert_eq!(shown(session.call("withdraw").arg(103).await), no_cover);
    assert!(
        shown(session.call("withdraw").arg("x").await)
            .starts_with("wamp.error.invalid_argument: not an amount")
    );

    // An error that a handler got from a call of its own is passed on, in another serializer too.
    let router = Router::default();
    let (ours, theirs) = wamp_transport::memory::pair(Serializer::Cbor);
    router.attach(theirs);
    let callee = Client::over(ours).await.unwrap();
    let (ours, theirs) = wamp_transport::memory::pair(Serializer::Json);
    router.attach(theirs);
    let caller = Client::over(ours).await.unwrap();
    callee.register("withdraw", typed(withdraw, BankError::failure)).await.unwrap();
    let outer = async |call: Invocation| -> Result<u64, Failure> {
        let amount: u64 = call.decode()?;
        Ok(call.session().call("withdraw").arg(amount).await?.decode()?)
    };
    caller.register("outer", outer).await.unwrap();
    let error = callee.call("outer").arg(103).await.unwrap_err();
    assert_eq!(error.uri().unwrap(), "com.bank.error.no_cover");
    assert_eq!(error.to_string(), no_cover);
    // An error that no peer sent has no URI to keep.
    let failure = Failure::from(CallError::Lagged { limit: 1 });
    assert_eq!(*failure.uri(), uri::RUNTIME_ERROR);
}

#[test]
fn debug_shows_the_sentence() {
    let payload = Payload::new(Serializer::Json, "no procedure \"com.x\" is registered").unwrap();
    let error = CallError::Application { uri: Uri::from("wamp.error.no_such_procedure"), payload };
    let expected = "Application(wamp.error.no_such_procedure: no procedure \"com.x\" is registered)";
    assert_eq!(format!("{error:?}"), expected);
    let error = wamp_client::RequestError::Gone;
    assert_eq!(format!("{error:?}"), "Gone(the registration or subscription has ended)");
}
