//! The laboratory: real components, each started for one test, in a directory of its own, and stopped when dropped.
//!
//! Every wait is for a state (a socket that answers, a name on the bus, a line in a log), with one deadline, and a missed
//! deadline fails with the component's log. Nothing here is shared between tests, so they run in parallel.

mod account;
mod bus;
mod capture;
mod certificates;
mod dovecot;
mod dunst;
mod hook;
mod icloud;
mod impostor;
mod keypulse;
mod keyring;
mod machine;
mod mail;
mod mailbox;
mod memory;
mod monitor;
mod person;
mod port;
mod postfix;
mod process;
mod settings;
mod system_manager;
mod terminal;
mod user_manager;
mod xfce;

pub use account::Account;
pub use bus::Bus;
pub use capture::Capture;
pub use certificates::Certificates;
pub use dovecot::{Dovecot, Login, Verdict};
pub use dunst::{Display, Dunst};
pub use hook::Hook;
pub use icloud::ICloud;
pub use impostor::{Impostor, Show};
pub use keypulse::{Keypulse, Response, Running, account, binary, credential};
pub use keyring::Keyring;
pub use machine::{Island, Logind, NetworkManager};
pub use mail::Mail;
pub use mailbox::{Letter, Mailbox};
pub use memory::Memory;
pub use monitor::{Event, Monitor, Notification, Urgency};
pub use person::Person;
pub use port::Port;
pub use postfix::Postfix;
pub use process::{Component, DEADLINE, Output, clean, run, until, until_or};
pub use settings::{Settings, Tls};
pub use system_manager::SystemManager;
pub use terminal::Terminal;
pub use user_manager::UserManager;
pub use xfce::Xfce;
