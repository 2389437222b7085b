//! What the machine says of itself, as the engine understands it.

use tracing::info;

use super::{Daemon, RunError};
use crate::{
    health::event::Event,
    host::machine::{Change, is_up},
};

impl Daemon {
    /// One change of the machine's.
    pub(super) fn machine(&mut self, change: Change) -> Result<(), RunError> {
        match change {
            Change::Suspending => {
                info!("the machine goes to sleep");
                self.step(Event::Suspending)
            }
            Change::Resumed => {
                info!("the machine is awake");
                self.step(self.heart.woke())
            }
            // Whether it slept is looked at with every step.
            Change::Stirred => self.step(Event::Timer),
            Change::Manager(manager) => {
                self.manager = manager;
                self.network()
            }
            Change::Routes => self.network(),
        }
    }

    /// What the system says of the network now.
    pub(super) fn network(&mut self) -> Result<(), RunError> {
        let config = self.heart.config();
        let (up, recheck) = (is_up(self.manager, &config.servers), config.watch.network);
        let hold = config.watch.idle && !self.manager.metered;
        if up != self.heart.hands.network_up {
            info!("{}", if up { "there is a network" } else { "there is no network: no check is made" });
            self.heart.hands.network_up = up;
        }
        self.heart.engine_mut().hold_watches(hold);
        self.step(Event::Network { up, recheck })
    }
}
