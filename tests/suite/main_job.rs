//! The main job on real servers: a password dies, and the person is told.

use crate::lab::{Keypulse, Mail, Settings, account, credential};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OLD: &str = "abcd-efgh-ijkl-mnop";
const NEW: &str = "qrst-uvwx-yzab-cdef";

#[test]
fn a_password_changed_on_the_server_is_suspected_confirmed_and_told() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("thunderbird", OLD);
    let told = keypulse.home().join("told");
    let hook = format!("cat >>{0}; echo >>{0}", told.display());
    let settings =
        Settings::for_mail(&mail).account(ADDRESS).credential_file("thunderbird", &secret).hook(&["sh", "-c", &hook]);
    keypulse.configure(&settings);
    let daemon = keypulse.run();

    let status = daemon.until_health("thunderbird", "healthy");
    assert_eq!(credential(&status, "thunderbird")["services"][0]["finding"], "accepted");
    assert_eq!(credential(&status, "thunderbird")["services"][1]["code"], "235 2.7.0");

    mail.dovecot.set_password(ADDRESS, NEW);
    daemon.until_health("thunderbird", "suspect");
    let status = daemon.until_health("thunderbird", "revoked");
    assert_eq!(account(&status, ADDRESS)["incident"]["cause"], "reset-or-revoked");
    assert_eq!(account(&status, ADDRESS)["failed_logins_24h"], 4);
    assert_eq!(mail.dovecot.failed_logins(), 4, "{:?}", mail.dovecot.logins());
    daemon
        .until("the hook told", |_| std::fs::read_to_string(&told).is_ok_and(|text| text.contains("incident-opened")));

    keypulse.secret("thunderbird", NEW);
    daemon.until_health("thunderbird", "healthy");
    daemon.until("the hook told", |_| {
        std::fs::read_to_string(&told).is_ok_and(|text| text.contains("incident-resolved"))
    });
    let (status, took) = daemon.terminate();
    assert!(status.success(), "{status}");
    assert!(took.as_secs() < 2, "{took:?}");
}
