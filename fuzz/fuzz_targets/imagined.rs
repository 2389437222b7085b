//! What the targets for IMAP and SMTP share. The examination itself is the library's (`src/probe/hostile.rs`).

use std::{cell::RefCell, panic, sync::Once, time::Duration};

use keypulse::{
    health::evidence::Service,
    probe::hostile::{self, Script},
};
use tokio::runtime::{Builder, Runtime};

/// The patience of the default policy; the clock jumps.
const PATIENCE: Duration = Duration::from_secs(30);

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_time().start_paused(true).build().unwrap());
}

/// One attempt.
pub fn examine(service: Service, bytes: &[u8]) {
    static HOOK: Once = Once::new();
    // libFuzzer ends at any panic. As in the product, one of a parser inside an attempt ends only the attempt.
    HOOK.call_once(|| {
        let abort = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.location().is_some_and(|place| place.file().contains("imap-proto")) {
                abort(info);
            }
        }));
    });
    RUNTIME.with_borrow(|runtime| runtime.block_on(hostile::examine(service, &Script::parse(bytes), PATIENCE)));
}
