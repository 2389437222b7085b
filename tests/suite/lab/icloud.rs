//! keypulse's own simulated iCloud, on a thread of its own, for faults that no real server can be made to show.

use std::{
    fs,
    path::PathBuf,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use keypulse::{
    health::evidence::Service,
    simulator::{Fault, Options, Security, Simulator, World},
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Settings, Tls};

/// A running simulator. Ended when dropped.
pub struct ICloud {
    /// What it knows and has seen.
    pub world: World,
    ports: [u16; 2],
    security: [Security; 2],
    directory: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ICloud {
    /// IMAP with implicit TLS and SMTP with STARTTLS, as the real one.
    #[track_caller]
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// The other way round: IMAP with STARTTLS and SMTP with implicit TLS.
    #[track_caller]
    pub fn the_other_way_round() -> Self {
        Self::with(Options { imap: Security::StartTls, smtp: Security::Implicit, ..Options::default() })
    }

    /// With any options.
    #[track_caller]
    pub fn with(options: Options) -> Self {
        let security = [options.imap, options.smtp];
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let simulator = Simulator::start(options).await.unwrap();
                let ports = [simulator.imap_addr().port(), simulator.smtp_addr().port()];
                tell.send((simulator.world(), ports, simulator.ca_pem().to_owned())).unwrap();
                // An error says that the handle is gone: the end, too.
                let _ = stopped.await;
            });
        });
        let (world, ports, ca) = told.recv().unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.pem"), ca).unwrap();
        Self { world, ports, security, directory, stop: Some(stop), thread: Some(thread) }
    }

    /// The certificate of its authority.
    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The port of a service.
    pub fn port(&self, service: Service) -> u16 {
        match service {
            Service::Imap => self.ports[0],
            Service::Smtp => self.ports[1],
        }
    }

    /// How TLS begins on a service.
    pub fn security(&self, service: Service) -> Security {
        match service {
            Service::Imap => self.security[0],
            Service::Smtp => self.security[1],
        }
    }

    /// Lets the same go wrong with both services, or nothing any more.
    pub fn set_fault(&self, fault: Option<&Fault>) {
        for service in Service::ALL {
            self.world.set_fault(service, fault.cloned());
        }
    }

    /// Connections taken so far, over both services.
    pub fn connections(&self) -> u64 {
        Service::ALL.into_iter().map(|service| self.world.connections(service)).sum()
    }

    /// Connections open now, over both services.
    pub fn open_connections(&self) -> u64 {
        Service::ALL.into_iter().map(|service| self.world.open_connections(service)).sum()
    }
}

impl Drop for ICloud {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

impl Settings {
    /// `new`, for this simulator.
    pub fn for_icloud(icloud: &ICloud) -> Self {
        let tls = |service| match icloud.security(service) {
            Security::Implicit => Tls::Implicit,
            Security::StartTls => Tls::StartTls,
        };
        Self::new()
            .imap(icloud.port(Service::Imap), tls(Service::Imap))
            .smtp(icloud.port(Service::Smtp), tls(Service::Smtp))
            .extra_ca(&icloud.ca())
    }

    /// Checks happen only when a person asks: nothing else moves while a test looks.
    #[must_use]
    pub fn only_on_request(self) -> Self {
        self.set("schedule", "interval", "\"1h\"")
            .set("schedule", "confirm", "[\"30m\", \"1h\"]")
            .set("schedule", "stale_after", "\"24h\"")
            .set("schedule", "outage_hold", "\"6h\"")
    }
}
