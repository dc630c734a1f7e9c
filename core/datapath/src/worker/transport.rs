//! Options of the sockets under the connections.

use crate::tls::Socket;
use std::net::SocketAddr;
use std::time::Duration;

/// A peer that has been silent for this long is asked whether it is still there ...
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
/// ... this often ...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// ... and this many times.
const KEEPALIVE_PROBES: u32 = 3;

/// What the kernel takes of us beyond what is on its way: a client that does not read costs this, and not the megabytes to
/// which a send buffer grows by itself. What is on its way (the congestion window) is not limited by it.
const UNSENT: u32 = 512 << 10;

/// No delay, keepalive and a bound on unacknowledged data, so that a peer whose packets vanish is noticed. An option that
/// the kernel refuses is left as it was.
pub(crate) fn configure(socket: &Socket, user_timeout_ms: u64) {
    let Socket::Tcp(stream) = socket else { return };
    let socket = socket2::SockRef::from(stream);
    let _ = socket.set_tcp_nodelay(true);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
    let _ = socket.set_tcp_user_timeout(Some(Duration::from_millis(user_timeout_ms)));
}

/// `None` for a Unix socket, or where the peer is gone already.
pub(crate) fn peer_address(socket: &Socket) -> Option<SocketAddr> {
    match socket {
        Socket::Tcp(stream) => stream.peer_addr().ok(),
        Socket::Unix(_) => None,
    }
}

/// Whether a connection that was being made has been made.
pub(crate) fn is_connected(socket: &Socket) -> bool {
    match socket {
        Socket::Tcp(stream) => stream.peer_addr().is_ok(),
        Socket::Unix(stream) => stream.peer_addr().is_ok(),
    }
}

/// Whether a connection that was being made has failed.
pub(crate) fn has_failed(socket: &Socket) -> bool {
    let error = match socket {
        Socket::Tcp(stream) => stream.take_error(),
        Socket::Unix(stream) => stream.take_error(),
    };
    !matches!(error, Ok(None))
}
