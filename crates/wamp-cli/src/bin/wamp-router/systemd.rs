//! systemd: sockets that it has opened, and messages about the state of the service. Without it nothing happens.

use std::error::Error;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::{TcpListener, UnixListener};
use wamp_router::{Address, Router};

/// The entry of `listen` for the sockets that systemd has opened.
pub(crate) const SOCKETS: &str = "systemd";

/// The time from the end of a shutdown to that of the process.
const STOP: Duration = Duration::from_secs(5);

/// Sends messages about the state of the service.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "cannot tell systemd the state of the service");
    }
}

/// The router serves, or does so again after [`reloading`].
pub(crate) fn ready(router: &Router) {
    notify(&[NotifyState::Ready, NotifyState::Status(&status(router))]);
}

/// The configuration is being read.
pub(crate) fn reloading() {
    let mut state = vec![NotifyState::Reloading];
    state.extend(NotifyState::monotonic_usec_now().ok());
    notify(&state);
}

/// The router shuts down, for which it takes at most this time. systemd waits as long, whatever `TimeoutStopSec` says.
pub(crate) fn stopping(time: Duration) {
    let time = u32::try_from(time.saturating_add(STOP).as_micros()).unwrap_or(u32::MAX);
    let extended = NotifyState::ExtendTimeoutUsec(time);
    notify(&[NotifyState::Stopping, NotifyState::Status("shutting down"), extended]);
}

/// The router is alive: it could count its sessions, for which it takes the lock of each realm.
pub(crate) fn alive(router: &Router) {
    notify(&[NotifyState::Watchdog, NotifyState::Status(&status(router))]);
}

/// Returns the interval at which [`alive`] has to be called; `None` if systemd does not watch.
pub(crate) fn watchdog() -> Option<Duration> {
    // Twice in the time after which it ends the service.
    sd_notify::watchdog_enabled().map(|timeout| timeout / 2).filter(|interval| !interval.is_zero())
}

fn status(router: &Router) -> String {
    let stats = router.stats();
    format!("{} sessions, {} connections", stats.now.sessions, stats.connections)
}

/// Serves the sockets that systemd has opened. Returns their addresses.
///
/// # Errors
/// There is none, one of them is no listening stream socket, or the router must not serve it.
pub(crate) fn serve_sockets(router: &Router) -> Result<Vec<Address>, Box<dyn Error>> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() == 0 {
        let error =
            "`listen` names \"systemd\", which has passed no sockets: start the router by its socket unit";
        return Err(error.into());
    }
    let has_tls = |tcp| if router.has_tls() { Address::Tls(tcp) } else { Address::Tcp(tcp) };
    let mut addresses = Vec::new();
    for index in 0..sockets.len() {
        if let Ok(Some(listener)) = sockets.take_tcp_listener(index) {
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            addresses.push(has_tls(listener.local_addr()?));
            router.serve(listener)?;
            continue;
        }
        let listener = sockets.take_unix_listener(index).ok().flatten();
        let listener = listener.ok_or("a socket of systemd is neither TCP nor a Unix stream socket")?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let address = listener.local_addr()?;
        if let Some(path) = address.as_pathname() {
            addresses.push(Address::Unix(path.to_owned()));
        }
        router.serve(listener)?;
    }
    Ok(addresses)
}
