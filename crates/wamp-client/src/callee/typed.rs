//! Handlers with errors of their own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::callee::failure::Failure;
use crate::callee::invocation::Invocation;

/// Makes a handler from a function whose errors have a type of their own, and a function that converts such
/// an error to a [`Failure`].
///
/// ```
/// use wamp_client::{Failure, Invocation, typed};
///
/// #[derive(Debug, thiserror::Error)]
/// enum BankError {
///     #[error("the account lacks {0}")]
///     NoCover(u64),
///     #[error("not an amount: {0}")]
///     Amount(#[from] wamp_client::PayloadError),
/// }
///
/// impl BankError {
///     fn failure(self) -> Failure {
///         match &self {
///             BankError::NoCover(missing) => {
///                 Failure::from_error("com.bank.error.no_cover", &self).kwarg("missing", missing)
///             }
///             BankError::Amount(_) => Failure::from_error("wamp.error.invalid_argument", &self),
///         }
///     }
/// }
///
/// async fn withdraw(call: Invocation) -> Result<u64, BankError> {
///     let amount: u64 = call.decode()?;
///     100_u64.checked_sub(amount).ok_or(BankError::NoCover(amount - 100))
/// }
///
/// # async fn example(session: wamp_client::Session) -> Result<(), wamp_client::RequestError> {
/// session.register("com.bank.withdraw", typed(withdraw, BankError::failure)).await?;
/// # Ok(())
/// # }
/// ```
pub fn typed<H, F, T, E, M>(
    handler: H,
    map: M,
) -> impl Fn(Invocation) -> Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>> + Send + Sync + 'static
where
    H: Fn(Invocation) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    M: Fn(E) -> Failure + Send + Sync + 'static,
{
    let map = Arc::new(map);
    move |call| {
        let (handling, map) = (handler(call), map.clone());
        Box::pin(async move { handling.await.map_err(&*map) })
    }
}
