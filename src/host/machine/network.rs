//! Whether there is a network, as far as this machine knows.
//!
//! The kernel is asked whether it knows a way to the servers, which sends nothing; the network manager, where there is one,
//! says the rest. Nobody else is asked, least of all on the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use tokio::sync::{mpsc, watch};

use super::Change;
use crate::{
    config::Server,
    health::evidence::{PerService, Service},
};

/// What NetworkManager says; nothing where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manager {
    /// There is a connection; `None` where it does not know.
    pub connected: Option<bool>,
    /// What is sent costs money.
    pub metered: bool,
}

impl Manager {
    /// Out of the properties `State` (NMState) and `Metered` (NMMetered) of NetworkManager's D-Bus interface.
    #[cfg_attr(not(any(target_os = "linux", test)), expect(dead_code, reason = "macOS has no such manager"))]
    pub(super) fn of(state: Option<u32>, metered: Option<u32>) -> Self {
        let connected = match state {
            // Unknown.
            None | Some(0) => None,
            // Asleep, disconnected, disconnecting, connecting; connected with a way to the neighbours alone (50).
            Some(1..60) => Some(false),
            // Connected; 60: whether to the Internet is open, as behind a portal, 70: it is.
            Some(60..) => Some(true),
        };
        // Yes, and "guess yes".
        Self { connected, metered: matches!(metered, Some(1 | 3)) }
    }
}

/// Whether there may be a network. It is known to be down only where nobody says otherwise: the manager does not say that
/// there is a connection, and the kernel knows no way to a server. (A manager that manages nothing says "disconnected" of a
/// machine that is not; the kernel of a machine with a tunnel to nowhere knows a way to everywhere.)
#[must_use]
pub fn is_up(manager: Manager, servers: &PerService<Server>) -> bool {
    manager.connected == Some(true) || Service::ALL.into_iter().any(|service| knows_way(servers.of(service)))
}

/// Whether the kernel knows a way there. A name could be anywhere on the Internet.
fn knows_way(server: &Server) -> bool {
    if server.is_loopback() {
        return true;
    }
    // Apple's own networks stand for the Internet (17.0.0.0/8, 2620:149::/32).
    let internet = [IpAddr::V4(Ipv4Addr::new(17, 0, 0, 1)), IpAddr::V6(Ipv6Addr::new(0x2620, 0x149, 0, 0, 0, 0, 0, 1))];
    match server.host.parse() {
        Ok(address) => leads_to(address),
        Err(_) => internet.into_iter().any(leads_to),
    }
}

/// To connect a UDP socket is to ask for the way: nothing is sent (`udp(7)`).
fn leads_to(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0));
    // Whoever cannot ask knows nothing, and that is not "down".
    let Ok(socket) = socket else { return address.is_ipv4() };
    socket.connect(SocketAddr::new(address, 9)).is_ok()
}

/// Tells of changes of the kernel's routes, except while the manager says that all is well.
pub(super) async fn listen(tell: mpsc::Sender<Change>, mut well: watch::Receiver<bool>) {
    let mut hears = true;
    loop {
        if *well.borrow_and_update() {
            tokio::select! {
                changed = well.changed() => if changed.is_err() { return },
                () = tell.closed() => return,
            }
            continue;
        }
        // Listens before it tells: nothing falls between.
        let Some(routes) = routes::Routes::open() else { return };
        if tell.send(Change::Routes).await.is_err() {
            return;
        }
        loop {
            tokio::select! {
                () = routes.changed() => if tell.send(Change::Routes).await.is_err() { return },
                changed = well.changed(), if hears => {
                    hears = changed.is_ok();
                    if hears && *well.borrow() { break }
                }
                () = tell.closed() => return,
            }
        }
    }
}

mod routes {
    use rustix::{
        fd::OwnedFd,
        io::Errno,
        net::{RecvFlags, recv},
    };
    use tokio::io::unix::AsyncFd;

    /// What the kernel says of its routes, addresses and interfaces: `rtnetlink(7)`, on macOS `route(4)`.
    pub(super) struct Routes(AsyncFd<OwnedFd>);

    impl Routes {
        /// `None` where the kernel does not let us listen (a sandbox).
        pub(super) fn open() -> Option<Self> {
            let socket = socket().ok()?;
            #[expect(deprecated, reason = "as in host/clock.rs: the descriptor is owned, and the successor is unsafe")]
            AsyncFd::new(socket).ok().map(Self)
        }

        /// Returns after the next change, and all that came with it. What exactly changed does not matter.
        pub(super) async fn changed(&self) {
            let mut heard = false;
            while !heard {
                let Ok(mut ready) = self.0.readable().await else { return std::future::pending().await };
                while let Ok(read) =
                    ready.try_io(|socket| match recv(socket, &mut [0; 8192][..], RecvFlags::DONTWAIT) {
                        // More came than there was room for: that is a change, too.
                        Ok(_) | Err(Errno::NOBUFS) => Ok(()),
                        Err(error) => Err(error.into()),
                    })
                {
                    if read.is_err() {
                        return std::future::pending().await;
                    }
                    heard = true;
                }
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn socket() -> rustix::io::Result<OwnedFd> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, socket_with};
        // Bits of RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE (linux/rtnetlink.h).
        const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(socket)
    }

    #[cfg(target_os = "macos")]
    fn socket() -> rustix::io::Result<OwnedFd> {
        use rustix::net::{AddressFamily, SocketType, socket};
        let socket = socket(AddressFamily::ROUTE, SocketType::RAW, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TlsMode;

    fn servers(host: &str) -> PerService<Server> {
        let server = Server { host: host.into(), port: 1, tls: TlsMode::Implicit };
        PerService { imap: server.clone(), smtp: server }
    }

    #[test]
    fn the_manager_knows_whether_it_is_connected() {
        let connected = |state| Manager::of(state, None).connected;
        assert_eq!(connected(None), None);
        assert_eq!(connected(Some(0)), None);
        for state in [10, 20, 30, 40, 50] {
            assert_eq!(connected(Some(state)), Some(false), "{state}");
        }
        assert_eq!(connected(Some(60)), Some(true));
        assert_eq!(connected(Some(70)), Some(true));
    }

    #[test]
    fn what_costs_money_is_known_or_guessed() {
        let metered = |word| Manager::of(Some(70), word).metered;
        assert_eq!(
            [None, Some(0), Some(1), Some(2), Some(3), Some(4)].map(metered),
            [false, false, true, false, true, false]
        );
    }

    #[test]
    fn this_machine_is_always_there() {
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(is_up(Manager { connected: Some(false), metered: false }, &servers(host)), "{host}");
        }
    }

    #[test]
    fn the_managers_word_suffices() {
        // Nobody has a route there (RFC 1122, section 3.2.1.3: never a destination).
        let nowhere = servers("255.255.255.255");
        assert!(!is_up(Manager::default(), &nowhere));
        assert!(!is_up(Manager { connected: Some(false), metered: false }, &nowhere));
        assert!(is_up(Manager { connected: Some(true), metered: false }, &nowhere));
    }
}
