//! The port of one service: open, refusing or closed.
//!
//! Opening and closing take effect at once, not when a task next runs: a test that sets a fault and connects in the next
//! line meets it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    task::{Context, Poll},
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Handle,
};

/// How many connections may wait to be taken.
const BACKLOG: u32 = 128;

enum State {
    Open(TcpListener),
    /// Bound and not listening: the kernel answers SYN with RST, and nobody else gets the port meanwhile.
    Refusing(TcpSocket),
    Closed,
}

/// A port on 127.0.0.1.
pub(super) struct Door {
    address: SocketAddr,
    runtime: Handle,
    state: State,
}

impl Door {
    /// Opens a free port.
    pub(super) fn open() -> io::Result<Self> {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { address, runtime: Handle::current(), state: State::Open(listener) })
    }

    /// Where it is.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses connections, or takes them again on the same port. A closed door stays closed.
    pub(super) fn refuse(&mut self, refuse: bool) -> io::Result<()> {
        let _runtime = self.runtime.enter();
        self.state = match (std::mem::replace(&mut self.state, State::Closed), refuse) {
            (State::Open(listener), true) => {
                // Bound before the listener goes: in an instant between, another program could be given the port.
                let socket = bind(self.address)?;
                drop(listener);
                State::Refusing(socket)
            }
            (State::Refusing(socket), false) => State::Open(socket.listen(BACKLOG)?),
            (state @ (State::Open(_) | State::Refusing(_) | State::Closed), _) => state,
        };
        Ok(())
    }

    /// Closes it for good.
    pub(super) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// The next connection. Pending, without waking anybody, while it is not open.
    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        match &self.state {
            State::Open(listener) => listener.poll_accept(context).map_ok(|(stream, _)| stream),
            State::Refusing(_) | State::Closed => Poll::Pending,
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of the last listener may linger in TIME-WAIT (RFC 9293 §3.6.1), and the last listener itself is still there.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}
