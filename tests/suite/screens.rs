//! What people see, on two notification services: the pictures in `tests/screens`, which the README shows.
//!
//! `KEYPULSE_TEST_PICTURES=tests/screens cargo test --test suite screens::` takes them anew.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    lab::{Bus, Display, Dunst, Keypulse, Mail, Running, Settings, Xfce, clean, run, until},
    notifications::{ADDRESS, NEW, OLD, SECOND},
};

/// Where a package put our picture, for all to read.
fn package() -> TempDir {
    let data = tempfile::tempdir().unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let icons = data.path().join("icons/hicolor/scalable/apps");
    fs::create_dir_all(&icons).unwrap();
    fs::write(icons.join("keypulse.svg"), include_str!("../../packaging/keypulse.svg")).unwrap();
    data
}

/// All passwords of an account die.
fn reset<'home>(keypulse: &'home Keypulse, mail: &Mail) -> Running<'home> {
    mail.dovecot.set_passwords(ADDRESS, &[OLD, SECOND]);
    let credential = |name: &str, app: &str, secret: &Path| {
        (name.to_owned(), format!("app = \"{app}\"\nsecret.file = \"{}\"", secret.display()))
    };
    let all = [
        credential("thunderbird", "Thunderbird", &keypulse.secret("thunderbird", OLD)),
        credential("nas", "Synology", &keypulse.secret("nas", SECOND)),
    ];
    let settings = Settings::for_mail(mail).desktop().account(ADDRESS);
    keypulse.configure(&all.iter().fold(settings, |settings, (name, lines)| settings.credential(name, lines)));
    let daemon = keypulse.run();
    daemon.until("both healthy", |status| status["counts"]["healthy"] == 2);
    mail.dovecot.set_password(ADDRESS, NEW);
    daemon.until("both dead", |status| status["counts"]["revoked"] == 2);
    daemon
}

/// The notification alone, once it stands on the screen with as many rows of pixels as its text and buttons need.
#[track_caller]
fn picture(display: &Display, name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = match std::env::var_os("KEYPULSE_TEST_PICTURES") {
        Some(kept) => PathBuf::from(kept).join(format!("{name}.png")),
        None => directory.path().join("picture.png"),
    };
    until("the notification on the screen", || {
        display.screenshot(&file);
        // The screen is black; what is left is what stands on it.
        run(clean("mogrify").args(["-fuzz", "2%", "-trim", "+repage", "-strip"]).arg(&file), "");
        let size = run(clean("identify").args(["-format", "%w %h"]).arg(&file), "").ok();
        let (width, height) = size.split_once(' ')?;
        (width.parse::<u32>().ok()? > 400 && height.parse::<u32>().ok()? > 120).then_some(())
    });
    let colours = run(clean("convert").arg(&file).args(["-depth", "8", "-format", "%c", "histogram:info:"]), "").ok();
    assert!(colours.contains("#17456B"), "our picture is in it: {colours}");
    assert!(file.metadata().unwrap().len() < 60_000, "small enough for a repository");
}

#[test]
fn dunst_shows_all_of_it() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let (data, mail, monitor) = (package(), Mail::start(), bus.monitor());
    let keypulse = Keypulse::new().on(&bus).env("XDG_DATA_DIRS", data.path().to_str().unwrap());
    let _daemon = reset(&keypulse, &mail);
    monitor.notified("All iCloud app passwords revoked");
    dunst.wait_displayed(1);
    picture(dunst.display(), "dunst");
}

#[test]
fn xfce_shows_all_of_it_with_buttons() {
    let bus = Bus::start();
    let xfce = Xfce::start(&bus);
    let (data, mail, monitor) = (package(), Mail::start(), bus.monitor());
    let keypulse = Keypulse::new().on(&bus).env("XDG_DATA_DIRS", data.path().to_str().unwrap());
    let _daemon = reset(&keypulse, &mail);
    let shown = monitor.notified("All iCloud app passwords revoked");
    assert_eq!(shown.actions.len(), 6, "{shown:?}");
    picture(&xfce.display, "xfce4-notifyd");
}
