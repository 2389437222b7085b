//! What a person can choose on a notification, chosen in dunst's menu.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use crate::{
    lab::{Bus, Dunst, Running, clean, run, until},
    notifications::{ADDRESS, Scene},
};

/// A program that writes its arguments down, one per line.
fn recorder(directory: &Path, name: &str) -> (String, impl Fn() -> Option<Vec<String>> + use<>) {
    let (program, record) = (directory.join(name), directory.join(format!("{name}.record")));
    let text = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >{0}.new && mv {0}.new {0}\n", record.display());
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let recorded = move || Some(fs::read_to_string(&record).ok()?.lines().map(str::to_owned).collect());
    (program.display().to_string(), recorded)
}

/// A dead password on the screen.
fn told<'scene>(scene: &'scene Scene, dunst: &Dunst<'_>) -> Running<'scene> {
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    dunst.wait_displayed(1);
    daemon
}

#[test]
fn a_terminal_opens_with_the_replacement() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let mut scene = Scene::on(&bus);
    let (terminal, recorded) = recorder(scene.keypulse.home(), "terminal");
    scene.keypulse.set_env("TERMINAL", &format!("{terminal} --title keypulse"));
    let daemon = told(&scene, &dunst);
    let shown = scene.monitor.notified("revoked");
    let labels = ["replace", "Replace…", "open-account", "Open Apple Account", "snooze", "Snooze 1 day"];
    assert_eq!(shown.actions, labels);

    let arguments = dunst.choose("Replace…", recorded);
    assert_eq!(arguments[..4], ["--title", "keypulse", "-e", "sh"], "{arguments:?}");
    let end = &arguments[arguments.len() - 3..];
    assert_eq!(end, ["replace", "--account", ADDRESS], "{arguments:?}");
    daemon.until_log("opened ");
    dunst.wait_displayed(1);
}

#[test]
fn without_terminal_and_browser_it_is_said_what_to_do() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let mut scene = Scene::on(&bus);
    // Only what the harness itself starts keypulse with.
    let directory = scene.keypulse.home().join("bin");
    fs::create_dir(&directory).unwrap();
    symlink("/usr/bin/setpriv", directory.join("setpriv")).unwrap();
    scene.keypulse.set_env("PATH", &directory.display().to_string());
    let daemon = told(&scene, &dunst);
    let note = |title: &str| scene.monitor.notifications().into_iter().find(|note| note.summary.contains(title));
    let terminal = dunst.choose("Replace…", || note("No terminal could be opened"));
    assert!(terminal.body.ends_with(&format!("keypulse replace --account {ADDRESS}")), "{terminal:?}");
    let browser = dunst.choose("Open Apple Account", || note("No browser could be opened"));
    assert!(browser.body.contains("https://account.apple.com/account/manage"), "{browser:?}");
    daemon.until_health("tom", "revoked");
}

#[test]
fn apples_page_opens_in_the_browser() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let mut scene = Scene::on(&bus);
    let (opener, recorded) = recorder(scene.keypulse.home(), "xdg-open");
    let directory = Path::new(&opener).parent().unwrap().display().to_string();
    scene.keypulse.set_env("PATH", &format!("{directory}:/usr/bin:/bin"));
    let _daemon = told(&scene, &dunst);
    let arguments = dunst.choose("Open Apple Account", recorded);
    assert_eq!(arguments, ["https://account.apple.com/account/manage"]);
}

#[test]
fn a_test_message_has_nothing_to_replace() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let output = scene.keypulse.command(&["notify-test", "--wait", "10ms"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(scene.monitor.notified("Test: ").actions, ["open-account", "Open Apple Account"]);
    dunst.wait_displayed(0);
}

#[test]
fn a_real_terminal_opens_with_the_replacement_in_it() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let mut scene = Scene::on(&bus);
    let display = dunst.display().name();
    scene.keypulse.set_env("DISPLAY", &display);
    scene.keypulse.set_env("TERMINAL", "xterm");
    let daemon = told(&scene, &dunst);
    let command = format!("\0replace\0--account\0{ADDRESS}\0");
    // The command itself, not the shell that keeps its window open.
    let running = |process: &Path| {
        let line = fs::read_to_string(process.join("cmdline")).ok()?;
        let program = fs::read_link(process.join("exe")).ok()?;
        (line.contains(&command)
            && line.contains(&*scene.keypulse.config_file().to_string_lossy())
            && program.file_name()? == "keypulse")
            .then(|| fs::read_link(process.join("fd/0")).ok())?
    };
    let terminal = dunst.choose("Replace…", || {
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        processes.map(|process| process.path()).find_map(|process| running(&process))
    });
    assert!(terminal.starts_with("/dev/pts"), "it has a terminal: {}", terminal.display());
    let windows = || run(clean("xwininfo").args(["-display", &display, "-root", "-tree"]), "").ok();
    until("its window on the screen", || windows().contains("(\"xterm\" \"XTerm\")").then_some(()));
    daemon.until_log("opened xterm to replace passwords of");
}
