//! What the person sees on the screen: dunst under Xvfb, with a witness on the bus.

use serde_json::json;

use crate::lab::{
    Bus, Dunst, Event, Hook, Keypulse, Mail, Monitor, Notification, Running, Settings, Urgency, account, until,
};

pub const ADDRESS: &str = "johnappleseed@icloud.com";
pub const OLD: &str = "abcd-efgh-ijkl-mnop";
pub const SECOND: &str = "bbcd-efgh-ijkl-mnop";
pub const NEW: &str = "qrst-uvwx-yzab-cdef";
const APP: &str = "<b>Tom & Jerry</b>";

/// A person with a session, one password that works, and a witness.
pub struct Scene {
    pub mail: Mail,
    pub keypulse: Keypulse,
    pub monitor: Monitor,
}

impl Scene {
    pub fn on(bus: &Bus) -> Self {
        let monitor = bus.monitor();
        let mail = Mail::start();
        mail.dovecot.set_password(ADDRESS, OLD);
        let keypulse = Keypulse::new().on(bus);
        let scene = Self { mail, keypulse, monitor };
        scene.keypulse.configure(&scene.settings());
        scene
    }

    pub fn settings(&self) -> Settings {
        let secret = self.keypulse.secret("tom", OLD);
        Settings::for_mail(&self.mail)
            .desktop()
            .account(ADDRESS)
            .credential("tom", &format!("app = {}\nsecret.file = {}", json!(APP), json!(secret)))
    }

    /// The password dies.
    #[track_caller]
    pub fn revoke(&self, daemon: &Running<'_>) {
        daemon.until_health("tom", "healthy");
        self.mail.dovecot.set_password(ADDRESS, NEW);
        daemon.until_health("tom", "revoked");
    }

    /// The person enters the new one, and reads that all is well; returns what the desktop was asked to close.
    #[track_caller]
    pub fn repair(&self, daemon: &Running<'_>) -> Vec<u32> {
        self.keypulse.secret("tom", NEW);
        daemon.until_health("tom", "healthy");
        self.monitor.notified("works again");
        let closed = |event| if let Event::CloseNotification(id) = event { Some(id) } else { None };
        self.monitor.events().into_iter().filter_map(closed).collect()
    }

    /// Every message about the dead password, replacements included.
    pub fn alarms(&self) -> Vec<Notification> {
        let mut all = self.monitor.notifications();
        all.retain(|notification| notification.summary.contains("revoked"));
        all
    }
}

pub fn is_silent(notification: &Notification) -> bool {
    notification.hints.get("suppress-sound").is_some_and(|hint| hint["data"] == true)
}

#[test]
fn a_dead_password_is_on_the_screen_until_it_is_repaired() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);

    let shown = scene.monitor.notified("revoked");
    assert_eq!(
        (&*shown.app_name, shown.urgency, shown.category.as_deref(), shown.replaces_id, shown.expire_timeout),
        ("keypulse", Urgency::Critical, Some("network.error"), 0, 0)
    );
    assert_eq!(shown.hints["desktop-entry"]["data"], "keypulse");
    assert!(shown.actions.iter().any(|key| key == "open-account"), "{shown:?}");
    assert!(shown.summary.contains(ADDRESS), "the title alone says whose: {shown:?}");
    assert!(shown.body.contains("&lt;b&gt;Tom &amp; Jerry&lt;/b&gt;"), "{shown:?}");
    assert!(!shown.body.contains("<b>"), "{shown:?}");
    dunst.wait_displayed(1);
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
    picture(&dunst, "revoked");

    assert_eq!(scene.repair(&daemon), [shown.id.unwrap()]);
    let note = scene.monitor.notified("works again");
    assert_eq!((note.urgency, note.replaces_id), (Urgency::Normal, 0));
    until("the alarm off the screen", || {
        dunst.history().iter().any(|gone| gone["id"]["data"] == shown.id.unwrap()).then_some(())
    });
    dunst.wait_displayed(1);
    picture(&dunst, "works-again");
    assert_eq!(scene.alarms().len(), 1);
}

#[test]
fn another_cause_replaces_the_message_in_place() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    scene.mail.dovecot.set_passwords(ADDRESS, &[OLD, SECOND]);
    let second = scene.keypulse.secret("mutt", SECOND);
    let settings = scene.settings().set("schedule", "confirm", r#"["1500ms", "3500ms"]"#);
    scene.keypulse.configure(&settings.credential_file("mutt", &second));
    let daemon = scene.keypulse.run();
    daemon.until("both healthy", |status| status["counts"]["healthy"] == 2);

    scene.mail.dovecot.set_passwords(ADDRESS, &[SECOND]);
    // Where the siblings answer late, on a slow machine, a first message did not know yet that they live.
    let first = until("the message that the other one works", || {
        scene.alarms().into_iter().find(|shown| shown.body.contains("still works"))
    });
    assert_eq!(first.urgency, Urgency::Normal, "a single one is no emergency: {first:?}");

    scene.mail.dovecot.set_password(ADDRESS, NEW);
    let all = scene.monitor.notified("All iCloud app passwords revoked");
    assert_eq!((all.replaces_id, all.id), (first.id.unwrap(), first.id));
    assert_eq!(all.sender, first.sender, "GNOME takes a replacement from nobody else");
    assert_eq!(all.urgency, Urgency::Normal, "only what opens is critical: {all:?}");
    dunst.wait_displayed(1);
    picture(&dunst, "replaced");
}

#[test]
fn a_reminder_takes_the_place_of_the_message_and_is_less_urgent() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    scene.keypulse.configure(&scene.settings().set("notify", "remind_every", "\"1s\""));
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    let shown = scene.monitor.notified("revoked");
    let reminder = scene.monitor.notified("Reminder: ");
    assert_eq!(reminder.summary, format!("Reminder: {}", shown.summary));
    assert_eq!((shown.urgency, reminder.urgency), (Urgency::Critical, Urgency::Normal));
    assert_eq!((reminder.replaces_id, reminder.id), (shown.id.unwrap(), shown.id));
    assert_eq!((&reminder.actions, reminder.expire_timeout), (&shown.actions, 0));
    assert!(!is_silent(&reminder), "{reminder:?}");
    dunst.wait_displayed(1);
}

#[test]
fn without_a_service_the_message_waits_for_one() {
    let bus = Bus::start();
    let scene = Scene::on(&bus);
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    daemon.until_log("desktop notification not shown yet");
    assert!(account(&daemon.status_json(), ADDRESS)["incident"]["notified_at"].is_null());

    let dunst = Dunst::start(&bus);
    let shown = scene.monitor.notified("revoked");
    assert!(!is_silent(&shown), "it is news: {shown:?}");
    dunst.wait_displayed(1);
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
}

#[test]
fn without_a_bus_the_message_waits_for_one() {
    let bus = Bus::absent();
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new().on(&bus);
    let secret = keypulse.secret("tom", OLD);
    keypulse.configure(&Settings::for_mail(&mail).desktop().account(ADDRESS).credential_file("tom", &secret));
    let daemon = keypulse.run();
    daemon.until_health("tom", "healthy");
    mail.dovecot.set_password(ADDRESS, NEW);
    daemon.until_health("tom", "revoked");
    daemon.until_log("there is no session bus");

    bus.restart();
    let dunst = Dunst::start(&bus);
    dunst.wait_displayed(1);
}

#[test]
fn what_is_lost_with_its_service_is_put_back_once_without_a_sound() {
    let bus = Bus::start();
    let mut dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    let first = scene.monitor.notified("revoked");
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());

    dunst.restart();
    let alarms = scene.monitor.until("it put back", |_| Some(scene.alarms()).filter(|alarms| alarms.len() > 1));
    assert!(is_silent(&alarms[1]) && !is_silent(&first), "{alarms:?}");
    assert_eq!(alarms[1].replaces_id, 0, "the number of a service that is gone means nothing to the next");
    dunst.wait_displayed(1);
    assert_eq!(scene.repair(&daemon), [alarms[1].id.unwrap()]);
    assert_eq!(scene.alarms().len(), 2);
}

#[test]
fn what_the_person_closed_is_not_put_back() {
    let bus = Bus::start();
    let mut dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    dunst.wait_displayed(1);
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());

    dunst.dismiss_all();
    dunst.wait_displayed(0);
    dunst.restart();
    assert_eq!(scene.repair(&daemon), [0_u32; 0], "nothing is left to be closed");
    assert_eq!(scene.alarms().len(), 1);
}

/// The message stands while keypulse ends and comes back.
#[track_caller]
fn check_restart(end: impl FnOnce(Running<'_>)) {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let hook = Hook::of(&scene.keypulse);
    scene.keypulse.configure(&scene.settings().hook(&hook.command()));
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    hook.until("incident-opened");
    daemon.until_log("hook told");
    let shown = scene.monitor.notified("revoked");
    end(daemon);

    let daemon = scene.keypulse.run();
    let status = daemon.until_health("tom", "revoked");
    assert_eq!(account(&status, ADDRESS)["incident"]["cause"], "reset-or-revoked");
    dunst.wait_displayed(1);
    assert_eq!(scene.repair(&daemon), [shown.id.unwrap()], "its number outlived the process");
    assert_eq!(scene.alarms().len(), 1, "told once: {:#?}", scene.alarms());
    hook.until("incident-resolved");
    assert_eq!(hook.events(), ["incident-opened", "incident-resolved"]);
}

#[test]
fn a_restart_repeats_nothing_and_still_closes_it() {
    // At once: what has just been shown is still written down.
    check_restart(|daemon| assert!(daemon.terminate().0.success()));
}

#[test]
fn a_kill_repeats_nothing_and_still_closes_it() {
    check_restart(|daemon| {
        daemon.until_log("desktop notification shown");
        daemon.status_json(); // answered after that was written down
        daemon.kill9();
    });
}

#[test]
fn what_is_lost_while_keypulse_is_away_is_put_back() {
    let bus = Bus::start();
    let mut dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    scene.monitor.notified("revoked");
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
    daemon.terminate();

    dunst.restart();
    assert_eq!(dunst.displayed(), 0);
    let daemon = scene.keypulse.run();
    let alarms = scene.monitor.until("it put back", |_| Some(scene.alarms()).filter(|alarms| alarms.len() > 1));
    assert!(is_silent(&alarms[1]), "{alarms:?}");
    dunst.wait_displayed(1);
    // … and after the restart it is looked after like one of this run.
    daemon.until_log("desktop notification shown");
    assert_eq!(scene.repair(&daemon), [alarms[1].id.unwrap()]);
    assert_eq!(scene.alarms().len(), 2);
}

#[test]
fn a_service_that_goes_after_a_restart_gets_it_back_too() {
    let bus = Bus::start();
    let mut dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    scene.monitor.notified("revoked");
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
    daemon.terminate();
    let daemon = scene.keypulse.run();
    daemon.until_health("tom", "revoked");
    assert_eq!(dunst.displayed(), 1);

    dunst.restart();
    let alarms = scene.monitor.until("it put back", |_| Some(scene.alarms()).filter(|alarms| alarms.len() > 1));
    assert!(is_silent(&alarms[1]), "{alarms:?}");
    dunst.wait_displayed(1);
}

#[test]
fn the_desktop_channel_can_be_switched_off_and_on() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    dunst.wait_displayed(1);
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());

    scene.keypulse.configure(&scene.settings().set("notify", "desktop", "false"));
    scene.keypulse.secret("tom", OLD);
    daemon.reload();
    dunst.wait_displayed(0);
    scene.keypulse.secret("tom", NEW);
    daemon.until_health("tom", "healthy");

    scene.keypulse.configure(&scene.settings());
    scene.keypulse.secret("tom", NEW);
    daemon.reload();
    daemon.until("read again", |_| daemon.log().matches("configuration read again").count() == 2);
    scene.mail.dovecot.set_password(ADDRESS, SECOND);
    daemon.until_health("tom", "revoked");
    dunst.wait_displayed(1);
}

/// What is on the screen, for people who want to look: into the directory `KEYPULSE_TEST_PICTURES`, if that is set.
#[track_caller]
pub fn picture(dunst: &Dunst<'_>, name: &str) {
    if let Some(directory) = std::env::var_os("KEYPULSE_TEST_PICTURES") {
        dunst.screenshot(&std::path::Path::new(&directory).join(format!("e2e-{name}.png")));
    }
}
