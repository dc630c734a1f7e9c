//! Listening sockets and the thread that accepts from all of them.
//!
//! One acceptor hands each socket to the worker that holds the fewest. The kernel's own spreading (SO_REUSEPORT) hashes,
//! and hashing puts two of three long-lived connections onto one worker.

use crate::shared::{Mailbox, Message};
use crate::snapshot::Address;
use crate::tls::Socket;
use mio::net::{TcpListener, UnixListener};
use mio::{Events, Interest, Poll, Token, Waker};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const WAKE: Token = Token(usize::MAX);
/// How long accepting rests when descriptors are used up.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
const BACKLOG: i32 = 4096;

/// A bound socket.
pub enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, std::path::PathBuf),
}

impl Bound {
    pub fn bind(address: &Address) -> io::Result<Bound> {
        match address {
            Address::Tcp(address) => {
                let domain = socket2::Domain::for_address(*address);
                let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
                socket.set_reuse_address(true)?;
                socket.set_nonblocking(true)?;
                socket.bind(&(*address).into())?;
                socket.listen(BACKLOG)?;
                Ok(Bound::Tcp(TcpListener::from_std(socket.into())))
            }
            Address::Unix(path) => {
                remove_stale(path)?;
                UnixListener::bind(path).map(|listener| Bound::Unix(listener, path.clone()))
            }
        }
    }

    pub fn address(&self) -> String {
        match self {
            Bound::Tcp(listener) => listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string()),
            Bound::Unix(_, path) => format!("unix://{}", path.display()),
        }
    }

    fn accept(&self) -> io::Result<Socket> {
        match self {
            Bound::Tcp(listener) => listener.accept().map(|(stream, _)| Socket::Tcp(stream)),
            Bound::Unix(listener, _) => listener.accept().map(|(stream, _)| Socket::Unix(stream)),
        }
    }

    fn source(&mut self) -> &mut dyn mio::event::Source {
        match self {
            Bound::Tcp(listener) => listener,
            Bound::Unix(listener, _) => listener,
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Bound::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A socket file that nobody listens on any more is left over from a process that was killed.
fn remove_stale(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on this socket")),
            Err(_) => std::fs::remove_file(path),
        },
        _ => Ok(()),
    }
}

/// What the acceptor is told between two turns.
enum Order {
    Add {
        id: u32,
        name: Arc<str>,
        bound: Bound,
    },
    Remove {
        id: u32,
    },
    /// Closes every listener at this time, after taking what waits in its queue.
    CloseAll {
        at: Instant,
    },
}

/// Handle of the acceptor's thread.
pub struct Acceptor {
    orders: Arc<Mutex<Vec<Order>>>,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Acceptor {
    pub fn start(mailboxes: Vec<Arc<Mailbox>>) -> io::Result<Acceptor> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let orders = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let loop_state = Loop {
            poll,
            mailboxes,
            orders: orders.clone(),
            stop: stop.clone(),
            listeners: Vec::new(),
            exhausted: false,
            close_at: None,
        };
        let thread = std::thread::Builder::new().name("acceptor".into()).spawn(move || loop_state.run())?;
        Ok(Acceptor { orders, waker, stop, thread: Some(thread) })
    }

    pub fn add(&self, id: u32, name: &str, bound: Bound) {
        self.order(Order::Add { id, name: name.into(), bound });
    }

    pub fn remove(&self, id: u32) {
        self.order(Order::Remove { id });
    }

    pub fn close_all(&self, after: Duration) {
        self.order(Order::CloseAll { at: Instant::now() + after });
    }

    fn order(&self, order: Order) {
        crate::shared::lock(&self.orders).push(order);
        let _ = self.waker.wake();
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    poll: Poll,
    mailboxes: Vec<Arc<Mailbox>>,
    orders: Arc<Mutex<Vec<Order>>>,
    stop: Arc<AtomicBool>,
    listeners: Vec<(u32, Arc<str>, Bound)>,
    /// No descriptor was left; connections wait in the kernel's queue.
    exhausted: bool,
    close_at: Option<Instant>,
}

impl Loop {
    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        while !self.stop.load(Relaxed) {
            let closing = self.close_at.map(|at| at.saturating_duration_since(Instant::now()));
            let timeout = if self.exhausted { Some(EXHAUSTED_PAUSE) } else { closing };
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return;
            }
            self.take_orders();
            self.exhausted = false;
            // Events are edges: every listener is drained, whichever spoke.
            for at in 0..self.listeners.len() {
                self.accept_all(at);
            }
            if self.close_at.is_some_and(|at| Instant::now() >= at) {
                self.close_at = None;
                while !self.listeners.is_empty() {
                    self.close(0);
                }
            }
        }
    }

    fn take_orders(&mut self) {
        let orders = std::mem::take(&mut *crate::shared::lock(&self.orders));
        for order in orders {
            match order {
                Order::Add { id, name, mut bound } => {
                    let token = Token(id as usize);
                    if self.poll.registry().register(bound.source(), token, Interest::READABLE).is_ok() {
                        self.listeners.push((id, name, bound));
                    }
                }
                Order::CloseAll { at } => self.close_at = Some(at),
                Order::Remove { id } => {
                    if let Some(at) = self.listeners.iter().position(|(held, ..)| *held == id) {
                        self.close(at);
                    }
                }
            }
        }
    }

    /// Whoever waits in its queue was let in while it was open. Whom the kernel lets in between the last look and the end
    /// is reset before a byte has come from us: nothing keeps it from doing so.
    fn close(&mut self, at: usize) {
        self.accept_all(at);
        drop(self.listeners.swap_remove(at));
    }

    fn accept_all(&mut self, at: usize) {
        let (_, name, bound) = &self.listeners[at];
        loop {
            match bound.accept() {
                Ok(socket) => {
                    let least = self.mailboxes.iter().min_by_key(|mailbox| mailbox.clients.load(Relaxed));
                    if let Some(mailbox) = least {
                        mailbox.clients.fetch_add(1, Relaxed);
                        mailbox.send(Message::Accept { socket, listener: name.clone() });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_of_the_connection(&error) => {}
                Err(_) => {
                    self.exhausted = true;
                    return;
                }
            }
        }
    }
}

/// The connection was gone before it was accepted; the next one may be fine.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
