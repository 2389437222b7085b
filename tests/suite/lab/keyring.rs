//! gnome-keyring: a real Secret Service with one collection, `login`, that can be locked.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt, process::Stdio};

use rustix::process::Signal;
use tempfile::TempDir;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant};

use super::{
    Bus, Component, Output,
    process::{run, until},
};

const NAME: &str = "org.freedesktop.secrets";
const SERVICE: &str = "/org/freedesktop/secrets";
const COLLECTION: &str = "/org/freedesktop/secrets/collection/login";
const PASSWORD: &str = "master password of the test";

/// A running gnome-keyring.
pub struct Keyring<'bus> {
    // First: stopped before its directory goes.
    component: Option<Component>,
    bus: &'bus Bus,
    home: TempDir,
}

impl<'bus> Keyring<'bus> {
    /// Starts one on `bus`, empty and unlocked.
    #[track_caller]
    pub fn start(bus: &'bus Bus) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("run")).unwrap();
        fs::set_permissions(home.path().join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        bus.account().give(home.path());
        let mut keyring = Self { component: None, bus, home };
        keyring.restart();
        keyring
    }

    /// Stops it: its name leaves the bus. What it keeps stays on disk.
    #[track_caller]
    pub fn stop(&mut self) {
        self.component = None;
        self.bus.wait_without(NAME);
    }

    /// It hangs: it stays on the bus and answers nothing.
    pub fn freeze(&self) {
        self.component.as_ref().unwrap().signal_group(Signal::STOP);
    }

    /// Goes on after `freeze`.
    pub fn thaw(&self) {
        self.component.as_ref().unwrap().signal_group(Signal::CONT);
    }

    /// Starts it (again), unlocked.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        let mut command = self.client("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets", "--unlock"]);
        // With --unlock the daemon reads the password from its standard input, up to its end.
        let log = self.home.path().join("log");
        let file = fs::File::options().create(true).append(true).open(&log).unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(PASSWORD.as_bytes()).unwrap();
        drop(writer);
        let component = Component::spawn_with("gnome-keyring", &command, &log, |command| {
            command.stdin(Stdio::from(reader)).stdout(file.try_clone().unwrap()).stderr(file);
        });
        component.until("its name on the bus", || self.bus.has(NAME).then_some(()));
        self.component = Some(component);
        self.wait_locked(false);
    }

    /// Whether the collection is locked; reading it then needs a dialog.
    #[track_caller]
    pub fn is_locked(&self) -> bool {
        let property =
            self.bus.busctl(["get-property", NAME, COLLECTION, "org.freedesktop.Secret.Collection", "Locked"]);
        property["data"].as_bool().unwrap()
    }

    /// Locks it, as a screen lock or the person does.
    #[track_caller]
    pub fn lock(&self) {
        self.bus.busctl(["call", NAME, SERVICE, "org.freedesktop.Secret.Service", "Lock", "ao", "1", COLLECTION]);
        self.wait_locked(true);
    }

    /// Unlocks it without a dialog, as a login does.
    ///
    /// Not `busctl`: the session that carries the password lives and dies with the connection.
    #[track_caller]
    pub fn unlock(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(unlock(&self.bus.address())).expect("unlocking gnome-keyring");
        self.wait_locked(false);
    }

    /// Stores a password as keypulse does.
    #[track_caller]
    pub fn store(&self, service: &str, username: &str, password: &str) {
        self.store_with(&[("service", service), ("username", username)], password);
    }

    /// Stores a password under any attributes, as another program would.
    #[track_caller]
    pub fn store_with(&self, attributes: &[(&str, &str)], password: &str) {
        let mut command = self.client("secret-tool");
        command.args(["store", "--label=test"]).args(attributes.iter().flat_map(|(key, value)| [key, value]));
        run(&mut command, password).ok();
    }

    /// The password that keypulse stored.
    #[track_caller]
    pub fn lookup(&self, service: &str, username: &str) -> Option<String> {
        let found = self.secret_tool(&["lookup", "service", service, "username", username]);
        (found.code == 0).then_some(found.stdout)
    }

    /// Deletes it.
    #[track_caller]
    pub fn clear(&self, service: &str, username: &str) {
        self.secret_tool(&["clear", "service", service, "username", username]).ok();
    }

    fn secret_tool(&self, arguments: &[&str]) -> Output {
        run(self.client("secret-tool").args(arguments), "")
    }

    fn client(&self, program: &str) -> std::process::Command {
        let mut command = self.bus.client(program);
        command.env("HOME", self.home.path()).env("XDG_RUNTIME_DIR", self.home.path().join("run"));
        command
    }

    #[track_caller]
    fn wait_locked(&self, locked: bool) {
        let mut ask = self.bus.client("busctl");
        ask.args(["--user", "--json=short", "get-property", NAME, COLLECTION]);
        ask.args(["org.freedesktop.Secret.Collection", "Locked"]);
        // Its name is on the bus a little before its collection is.
        until(&format!("keyring locked: {locked}"), || {
            run(&mut ask, "").stdout.contains(&format!("\"data\":{locked}")).then_some(())
        });
    }
}

async fn unlock(address: &str) -> zbus::Result<()> {
    let connection = zbus::connection::Builder::address(address).build().await?;
    let service = "org.freedesktop.Secret.Service";
    let opened = connection
        .call_method(Some(NAME), SERVICE, Some(service), "OpenSession", &("plain", Variant::from("")))
        .await?;
    let (_, session): (OwnedVariant, OwnedObjectPath) = opened.body().deserialize()?;
    let secret = (session, Vec::<u8>::new(), PASSWORD.as_bytes().to_vec(), "text/plain");
    let internal = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface";
    let collection = ObjectPath::try_from(COLLECTION)?;
    connection
        .call_method(Some(NAME), SERVICE, Some(internal), "UnlockWithMasterPassword", &(collection, secret))
        .await?;
    Ok(())
}
