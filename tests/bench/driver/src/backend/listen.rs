//! Where the server listens.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpSocket;
use tonic::transport::server::TcpIncoming;

const BACKLOG: u32 = 4096;
const LOOPBACK: &[u8] = b"lo";

/// An unspecified address takes thousands of endpoints at the price of one socket, since all of 127.0.0.0/8 is this
/// machine; it is bound to the loopback device, so that nobody else reaches it.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpIncoming> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if address.ip().is_unspecified() {
        socket.bind_device(Some(LOOPBACK))?;
    }
    socket.bind(address)?;
    Ok(TcpIncoming::from(socket.listen(BACKLOG)?).with_nodelay(Some(true)))
}
