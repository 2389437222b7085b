//! Postfix: submission with STARTTLS and with implicit TLS, passwords judged by Dovecot. Mail for [`Mailbox::ADDRESS`] is put
//! where Dovecot finds it, other mail for that domain is refused, all else is thrown away.
//!
//! An instance of its own; the machine's /etc/postfix is neither read nor touched.

use std::{
    fmt::Write as _,
    fs::{self, File},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    Certificates, Component, Dovecot, Mailbox, Port,
    dovecot::greeting,
    process::{clean, run},
};

/// A running Postfix.
pub struct Postfix {
    // First: stopped before its directory goes.
    component: Option<Component>,
    submission: Port,
    submissions: Port,
    dir: TempDir,
}

impl Postfix {
    /// Starts one that asks `dovecot` about passwords.
    #[track_caller]
    pub fn start(certificates: &Certificates, dovecot: &Dovecot) -> Self {
        let permissions = fs::Permissions::from_mode(0o755);
        let dir = tempfile::Builder::new().prefix("postfix").permissions(permissions).tempdir().unwrap();
        let (submission, submissions) = (Port::free(), Port::free());
        prepare(dir.path());
        fs::write(dir.path().join("main.cf"), main_cf(dir.path(), certificates, dovecot)).unwrap();
        settled(&dir.path().join("main.cf"));
        fs::write(dir.path().join("master.cf"), master_cf(&submission, &submissions)).unwrap();
        let mut postfix = Self { component: None, submission, submissions, dir };
        postfix.restart();
        postfix
    }

    /// The port with STARTTLS.
    pub fn starttls_port(&self) -> u16 {
        self.submission.number()
    }

    /// The port with TLS from the first byte.
    pub fn implicit_port(&self) -> u16 {
        self.submissions.number()
    }

    /// Stops answering while connections are still taken: clients time out.
    pub fn freeze(&self) {
        self.running().signal_group(Signal::STOP);
    }

    /// Goes on after `freeze`.
    pub fn thaw(&self) {
        self.running().signal_group(Signal::CONT);
    }

    /// Stops it: connections are refused.
    pub fn stop(&mut self) {
        self.component = None;
    }

    /// Starts it (again) on the same ports.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        // The master itself, not the `postfix` command: that one checks a thousand files first and puts the master into a
        // session of its own. The master changes its user now and then, and forgets by that to die with the test; so a
        // shell does it for the whole group. (HUP: what the kernel tells a frozen group that lost its parent.)
        let mut command = clean("setpriv");
        command.args([
            "--pdeathsig",
            "TERM",
            "--",
            "sh",
            "-c",
            r#"trap 'kill -KILL 0' TERM HUP; "$@" & wait $!"#,
            "sh",
        ]);
        command.args(["/usr/lib/postfix/sbin/master", "-d", "-c"]).arg(self.dir.path());
        let component = Component::spawn("postfix", &command, &self.dir.path().join("log")).without_grace();
        component.until("SMTP greeting", || greeting(self.starttls_port()).filter(|line| line.starts_with("220 ")));
        component.until("SMTP over TLS", || TcpStream::connect(("127.0.0.1", self.implicit_port())).ok());
        self.component = Some(component);
    }

    /// From now on each message waits so long between its last byte and the answer. The log says `END-OF-MESSAGE` when that
    /// wait begins.
    #[track_caller]
    pub fn be_slow(&mut self, seconds: u32) {
        let path = self.dir.path().join("main.cf");
        let mut text = fs::read_to_string(&path).unwrap();
        writeln!(text, "smtpd_end_of_data_restrictions = check_client_access static:info, sleep {seconds}").unwrap();
        fs::write(&path, text).unwrap();
        settled(&path);
        self.restart();
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn running(&self) -> &Component {
        self.component.as_ref().expect("Postfix is stopped")
    }
}

/// Every process of Postfix waits until its configuration has not changed for two seconds.
fn settled(path: &Path) {
    #[expect(clippy::disallowed_methods, reason = "a file's age is told by the wall clock")]
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    File::options().append(true).open(path).unwrap().set_modified(long_ago).unwrap();
}

/// The directories that `postfix check` would make.
fn prepare(dir: &Path) {
    let install = |mode: &str, owner: &str, group: &str, names: &[&str]| {
        let paths = names.iter().map(|name| dir.join(name));
        run(clean("install").args(["-d", "-m", mode, "-o", owner, "-g", group]).args(paths), "").ok();
    };
    install("755", "root", "root", &["queue", "queue/pid"]);
    install("700", "postfix", "root", &["data"]);
    let queues = ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved"];
    let queues: Vec<_> = queues.iter().map(|name| format!("queue/{name}")).collect();
    install("700", "postfix", "root", &queues.iter().map(|name| &**name).collect::<Vec<_>>());
    install("700", "postfix", "root", &["queue/trace"]);
    install("730", "postfix", "postdrop", &["queue/maildrop"]);
    install("710", "postfix", "postdrop", &["queue/public"]);
}

fn main_cf(dir: &Path, certificates: &Certificates, dovecot: &Dovecot) -> String {
    let (cert, key, sasl) = (certificates.certificate(), certificates.key(), dovecot.sasl_socket());
    let (dir, cert, key, sasl) = (dir.display(), cert.display(), key.display(), sasl.display());
    let (mail, mailbox) = (dovecot.mail_dir(), Mailbox::ADDRESS);
    let (mail, (user, domain)) = (mail.display(), mailbox.split_once('@').unwrap());
    format!(
        "compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost
mydestination =
mynetworks =
local_transport = discard
default_transport = discard
relay_transport = discard
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = inline:{{{{ {mailbox} = {user}/ }}}}
virtual_mailbox_base = {mail}
virtual_minimum_uid = 1
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = encrypt
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_sasl_security_options = noanonymous
# Nobody is made to wait after a refused login, and nobody is throttled.
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
"
    )
}

fn master_cf(submission: &Port, submissions: &Port) -> String {
    let (submission, submissions) = (submission.number(), submissions.number());
    format!(
        "127.0.0.1:{submission} inet n - n - - smtpd
127.0.0.1:{submissions} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
discard unix - - n - - discard
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"
    )
}
