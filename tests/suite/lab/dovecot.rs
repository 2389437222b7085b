//! Dovecot: IMAP with implicit TLS and with STARTTLS, and the judge of passwords for Postfix.
//!
//! Passwords are judged by a `checkpassword` program of our own, not by a passwd-file: that one is looked at once a
//! second, holds one password per user, and a change within the second is missed. An Apple Account has up to 25 at once.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    Certificates, Component, Port,
    process::{clean, run},
};

/// The judge. Reads user and password from descriptor 3 (both end with NUL), as checkpassword programs do.
const JUDGE: &str = r#"#!/bin/bash
cd "${0%/*}" || exit 111
IFS= read -r -d '' user <&3
IFS= read -r -d '' password <&3
verdict=refused
while IFS=$'\t' read -r known secret; do
    [[ $known == "$user" && $secret == "$password" ]] && verdict=accepted
done <passwords
[[ -e refuse-$SERVICE ]] && verdict=refused
[[ -e unavailable-$SERVICE ]] && verdict=unavailable
printf '%s\t%s\t%s\n' "$SERVICE" "$user" "$verdict" >>logins
case $verdict in
    accepted) USER=$user exec "$@" ;;
    refused) exit 1 ;;
    *) exit 111 ;;
esac
"#;

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `OK`, `235`.
    Accepted,
    /// `NO [AUTHENTICATIONFAILED]`, `535`.
    Refused,
    /// `NO [UNAVAILABLE]`.
    Unavailable,
}

/// A login that reached the judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// `imap` or `smtp`.
    pub service: String,
    /// The user name as sent.
    pub user: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// A running Dovecot.
pub struct Dovecot {
    // First: stopped before its directory goes.
    component: Option<Component>,
    implicit: Port,
    starttls: Port,
    passwords: Mutex<BTreeMap<String, Vec<String>>>,
    dir: TempDir,
}

impl Dovecot {
    /// Starts one without any user.
    #[track_caller]
    pub fn start(certificates: &Certificates) -> Self {
        let dir = tempfile::Builder::new().prefix("dovecot").permissions(open()).tempdir().unwrap();
        let path = dir.path();
        for name in ["run", "state", "mail"] {
            fs::create_dir(path.join(name)).unwrap();
            fs::set_permissions(path.join(name), open()).unwrap();
        }
        run(clean("chown").arg("nobody:nogroup").arg(path.join("mail")), "").ok();
        fs::write(path.join("judge"), JUDGE).unwrap();
        fs::set_permissions(path.join("judge"), open()).unwrap();
        fs::write(path.join("passwords"), "").unwrap();
        let (implicit, starttls) = (Port::free(), Port::free());
        fs::write(path.join("dovecot.conf"), configuration(path, certificates, &implicit, &starttls)).unwrap();
        let mut dovecot = Self { component: None, implicit, starttls, passwords: Mutex::default(), dir };
        dovecot.restart();
        dovecot
    }

    /// The port with TLS from the first byte.
    pub fn implicit_port(&self) -> u16 {
        self.implicit.number()
    }

    /// The port with STARTTLS.
    pub fn starttls_port(&self) -> u16 {
        self.starttls.number()
    }

    /// Where the mailboxes are, one directory for each user.
    pub fn mail_dir(&self) -> PathBuf {
        self.dir.path().join("mail")
    }

    /// The Unix socket where Postfix asks about passwords.
    pub fn sasl_socket(&self) -> PathBuf {
        self.dir.path().join("run/sasl")
    }

    /// From the next login on, `address` has this one password. Both forms of the user name serve: the address and the
    /// part before the @.
    pub fn set_password(&self, address: &str, password: &str) {
        self.set_passwords(address, &[password]);
    }

    /// From the next login on, `address` has exactly these passwords; none: every login is refused.
    pub fn set_passwords(&self, address: &str, passwords: &[&str]) {
        let mut known = self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(address.to_owned(), passwords.iter().map(ToString::to_string).collect());
        let mut text = String::new();
        for (address, passwords) in &*known {
            let local = address.split_once('@').map_or(&**address, |(local, _)| local);
            for password in passwords {
                writeln!(text, "{address}\t{password}\n{local}\t{password}").unwrap();
            }
        }
        // Renamed into place: a login in this very moment sees the old or the new, never a half.
        let new = self.dir.path().join("passwords.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.dir.path().join("passwords")).unwrap();
    }

    /// Makes `service` (`imap`, `smtp`) refuse every login, or judge again.
    pub fn refuse_all(&self, service: &str, on: bool) {
        self.switch(&format!("refuse-{service}"), on);
    }

    /// Makes `service` answer every login with a temporary failure, or judge again. Dovecot says `NO [UNAVAILABLE]`;
    /// Postfix 3.7 does not understand Dovecot 2.3's temporary failure and says 535.
    pub fn unavailable(&self, service: &str, on: bool) {
        self.switch(&format!("unavailable-{service}"), on);
    }

    /// Every login so far, in order, of both services.
    pub fn logins(&self) -> Vec<Login> {
        let text = fs::read_to_string(self.dir.path().join("logins")).unwrap_or_default();
        text.lines()
            .map(|line| {
                let mut fields = line.split('\t').map(ToOwned::to_owned);
                let mut field =
                    || fields.next().unwrap_or_else(|| panic!("strange line in the list of logins: {line}"));
                let (service, user) = (field(), field());
                let verdict = match &*field() {
                    "accepted" => Verdict::Accepted,
                    "refused" => Verdict::Refused,
                    "unavailable" => Verdict::Unavailable,
                    other => panic!("strange verdict in the list of logins: {other}"),
                };
                Login { service, user, verdict }
            })
            .collect()
    }

    /// How many logins were refused so far, both services together.
    pub fn failed_logins(&self) -> usize {
        self.logins().iter().filter(|login| login.verdict == Verdict::Refused).count()
    }

    /// Stops answering while connections are still taken: clients time out.
    pub fn freeze(&self) {
        self.running().signal_group(Signal::STOP);
    }

    /// Goes on after `freeze`.
    pub fn thaw(&self) {
        self.running().signal_group(Signal::CONT);
    }

    /// Stops it: connections are refused. Passwords, ports and logins stay.
    pub fn stop(&mut self) {
        self.component = None;
    }

    /// Starts it (again) on the same ports.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        let path = self.dir.path();
        // Left by a killed one; its process id may be somebody else's by now.
        let _ = fs::remove_file(path.join("run/master.pid"));
        let mut command = clean("dovecot");
        command.arg("-F").arg("-c").arg(path.join("dovecot.conf"));
        let component = Component::spawn("dovecot", &command, &path.join("log")).without_grace();
        component.until("IMAP greeting", || greeting(self.starttls_port()).filter(|line| line.starts_with("* OK")));
        component.until("IMAP over TLS", || TcpStream::connect(("127.0.0.1", self.implicit_port())).ok());
        self.component = Some(component);
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn switch(&self, name: &str, on: bool) {
        let path = self.dir.path().join(name);
        if on {
            fs::write(path, "").unwrap();
        } else {
            let _ = fs::remove_file(path);
        }
    }

    fn running(&self) -> &Component {
        self.component.as_ref().expect("Dovecot is stopped")
    }
}

/// The first line that a server says by itself.
pub(super) fn greeting(port: u16) -> Option<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line)
}

/// Servers drop their privileges and must still get through.
fn open() -> fs::Permissions {
    fs::Permissions::from_mode(0o755)
}

fn configuration(dir: &Path, certificates: &Certificates, implicit: &Port, starttls: &Port) -> String {
    let (dir, cert, key) = (dir.display(), certificates.certificate(), certificates.key());
    let (cert, key, implicit, starttls) = (cert.display(), key.display(), implicit.number(), starttls.number());
    format!(
        "base_dir = {dir}/run
state_dir = {dir}/state
protocols = imap
listen = 127.0.0.1
log_path = {dir}/log
auth_verbose = yes
auth_debug = yes
auth_mechanisms = plain login
auth_failure_delay = 0
# `required` refuses passwords before TLS even from this machine itself.
ssl = required
ssl_min_protocol = TLSv1.2
ssl_cert = <{cert}
ssl_key = <{key}
mail_location = maildir:{dir}/mail/%n
first_valid_uid = 1
mail_max_userip_connections = 0
passdb {{
  driver = checkpassword
  args = {dir}/judge
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={dir}/mail/%n
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = {starttls}
  }}
  inet_listener imaps {{
    port = {implicit}
    ssl = yes
  }}
}}
service auth {{
  user = root
  unix_listener sasl {{
    mode = 0666
  }}
}}
# Without this listener nobody is made to wait longer after every refused login.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"
    )
}
