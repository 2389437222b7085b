//! Ports of the test's own.

use std::{
    hash::{BuildHasher, RandomState},
    net::TcpListener,
};

/// Below the range from which the kernel gives ports to outgoing connections, so that none of those can take one of ours.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// A free TCP port of 127.0.0.1, reserved among all running tests until dropped.
pub struct Port {
    number: u16,
    // The reservation: the same port on another loopback address. It ends with the process, however that ends.
    _reservation: TcpListener,
}

impl Port {
    /// Reserves one.
    pub fn free() -> Self {
        let start = RandomState::new().hash_one(0_u8);
        (0..u64::from(COUNT))
            .find_map(|step| {
                let number = FIRST + u16::try_from(start.wrapping_add(step) % u64::from(COUNT)).ok()?;
                let reservation = TcpListener::bind(("127.255.255.254", number)).ok()?;
                // Let go at once: the component will bind it.
                TcpListener::bind(("127.0.0.1", number)).ok()?;
                Some(Self { number, _reservation: reservation })
            })
            .expect("no free port")
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
