//! The status in one line, for bars: `--format oneline`, and Waybar's JSON object around it.
//!
//! Pure. Decides words and markup. Waybar reads `text` and `tooltip` as Pango markup and `class` as a class of its style sheet
//! (waybar-custom(5)).

use serde::Serialize;

use super::{
    style::{printable, shortened},
    table::{Look, render},
};
use crate::{
    api::{StatusDocument, Time},
    health::credential::{Health, Overall},
};

/// Names said before the rest is counted.
const NAMES: usize = 3;
/// No bar has room for more.
const WIDEST: usize = 80;
/// The width of the table in Waybar's tooltip.
const TOOLTIP: usize = 80;

/// "keypulse ✓ 4", "keypulse ✗ 2 dead: thunderbird, nas". No line end.
#[must_use]
pub fn oneline(document: &StatusDocument, look: &Look) -> String {
    let mut words = vec![happening(document)];
    words.extend(document.paused_until.map(|until| match until {
        Time::END => "paused".to_owned(),
        until => format!("paused until {}", (look.local)(until)),
    }));
    words.extend(document.email.as_ref().filter(|email| email.ended).map(|_| "no e-mail".to_owned()));
    match &document.daemon {
        Some(daemon) if daemon.online => {}
        Some(_) => words.push("offline".to_owned()),
        None => words.push("not running".to_owned()),
    }
    shortened(&format!("keypulse {} {}", sign(document.overall), words.join(" · ")), WIDEST)
}

/// What a bar shows where there is no status: `why` in one line.
#[must_use]
pub fn trouble(why: &str) -> String {
    shortened(&printable(&format!("keypulse ? {why}")), WIDEST)
}

/// The object for Waybar, on one line. No line end.
#[must_use]
pub fn waybar(document: &StatusDocument, look: &Look) -> String {
    let table = render(document, &Look { width: TOOLTIP, colour: false, ..*look });
    let all = document.credentials().count();
    let alive = document.credentials().filter(|it| matches!(it.health, Health::Healthy | Health::Degraded)).count();
    object(&oneline(document, look), table.trim_end(), document.overall, (alive * 100).checked_div(all).unwrap_or(0))
}

/// The same where there is no status.
#[must_use]
pub fn waybar_trouble(why: &str) -> String {
    object(&trouble(why), &printable(why), Overall::Unknown, 0)
}

/// Waybar's fields.
#[derive(Serialize)]
struct Waybar<'a> {
    text: &'a str,
    alt: Overall,
    tooltip: &'a str,
    class: Overall,
    percentage: usize,
}

fn object(text: &str, tooltip: &str, overall: Overall, percentage: usize) -> String {
    let tooltip = format!("<tt>{}</tt>", escaped(tooltip));
    let object = Waybar { text: &escaped(text), alt: overall, tooltip: &tooltip, class: overall, percentage };
    // A plain struct with string keys: there is nothing in it that JSON cannot write.
    serde_json::to_string(&object).unwrap_or_default()
}

/// Text for Pango markup (GLib, `g_markup_escape_text`).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const fn sign(overall: Overall) -> &'static str {
    match overall {
        Overall::Ok => "✓",
        Overall::Warning => "!",
        Overall::Critical => "✗",
        Overall::Unknown => "?",
    }
}

/// The worst that there is, with names.
fn happening(document: &StatusDocument) -> String {
    let all = document.credentials().count();
    if all == 0 {
        return "nothing to watch".to_owned();
    }
    if document.overall == Overall::Unknown {
        return "not checked yet".to_owned();
    }
    let named = |word: &str, of: &dyn Fn(Health) -> bool| {
        let names: Vec<&str> = document.credentials().filter(|it| of(it.health)).map(|it| it.name.as_str()).collect();
        let listed = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
        let more = names.len().saturating_sub(NAMES);
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        (!names.is_empty()).then(|| format!("{} {word}: {listed}{more}", names.len()))
    };
    if let Some(dead) = named("dead", &|health| health.is_dead()) {
        return dead;
    }
    let unwell = Health::ALL.into_iter().filter(|health| health.overall() == Overall::Warning);
    let unwell: Vec<String> = unwell.filter_map(|kind| named(kind.as_str(), &|health| health == kind)).collect();
    if unwell.is_empty() { all.to_string() } else { unwell.join(" · ") }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::{
        api::{
            DaemonInfo, Time,
            sample::{self, NOW, account, credential, dead, healthy},
            time::local,
        },
        cli::style::columns,
        health::view::{AccountStatus, CredentialStatus},
    };

    fn with_look<T>(show: impl Fn(&Look) -> T) -> T {
        let now = Time::new(NOW, 0);
        let local = |time: Time| local(time, now, &TimeZone::UTC);
        show(&Look { now, width: 80, colour: true, local: &local })
    }

    fn jane(credentials: Vec<CredentialStatus>) -> StatusDocument {
        sample::document(&[account("jane@me.com", credentials)])
    }

    #[track_caller]
    fn check(document: &StatusDocument, expected: &str) {
        let line = with_look(|look| oneline(document, look));
        assert_eq!(line, expected);
        assert!(columns(&line) <= WIDEST);
    }

    #[test]
    fn one_line_says_the_worst_with_names() {
        let many = |health, names: &[&str]| names.iter().map(|name| credential(name, None, health)).collect::<Vec<_>>();
        check(&jane(vec![healthy("mutt", None, 3), healthy("nas", None, 3)]), "keypulse ✓ 2");
        check(&sample::document(&sample::accounts()), "keypulse ✗ 2 dead: thunderbird, nas");
        let one = vec![dead("nas", None), credential("cron", None, Health::Suspect)];
        check(&jane(one), "keypulse ✗ 1 dead: nas");
        check(&jane(many(Health::Rejected, &["a", "b", "c", "d", "e"])), "keypulse ✗ 5 dead: a, b, c +2");
        let unwell =
            [many(Health::Degraded, &["msmtp"]), many(Health::Stale, &["x", "y"]), vec![healthy("z", None, 1)]];
        check(&jane(unwell.concat()), "keypulse ! 1 degraded: msmtp · 2 stale: x, y");
        check(&jane(vec![]), "keypulse ? nothing to watch");
        let long = "n".repeat(64);
        let shown = "n".repeat(60);
        check(&jane(vec![dead(&long, None), dead("b", None)]), &format!("keypulse ✗ 2 dead: {shown}…"));
    }

    #[test]
    fn one_line_says_what_the_daemon_does_not_do() {
        let accounts = [account("jane@me.com", vec![healthy("mutt", None, 3)])];
        let paused = DaemonInfo { paused_until: Some(sample::in_minutes(60)), ..sample::daemon() };
        check(&StatusDocument::build(&accounts, Some(paused), NOW, 0), "keypulse ! 1 · paused until 21:00");
        let alone = StatusDocument::build(&accounts, None, NOW, 0).with_pause(Some(sample::in_minutes(60)), 0);
        check(&alone, "keypulse ! 1 · paused until 21:00 · not running");
        let offline = DaemonInfo { online: false, ..sample::daemon() };
        check(&StatusDocument::build(&accounts, Some(offline), NOW, 0), "keypulse ✓ 1 · offline");
        let mut alone = StatusDocument::build(&accounts, None, NOW, 0);
        check(&alone, "keypulse ✓ 1 · not running");
        alone.overall = Overall::Unknown;
        check(&alone, "keypulse ? not checked yet · not running");
    }

    #[test]
    fn waybar_gets_its_fields_as_markup_on_one_line() {
        let accounts: Vec<AccountStatus> =
            vec![account("jane@me.com", vec![healthy("mutt", Some("<b>M&M</b>"), 3), dead("nas", None)])];
        let line = with_look(|look| waybar(&sample::document(&accounts), look));
        let expected = concat!(
            r#"{"text":"keypulse ✗ 1 dead: nas","alt":"critical","tooltip":"<tt>jane@me.com\n"#,
            r#"  ✓ mutt  &lt;b&gt;M&amp;M&lt;/b&gt;  healthy  accepted 3 min ago · next check in 41 min\n"#,
            r#"  ✗ nas               revoked  accepted 6 h ago · next check in 23 h\n"#,
            r#"      Make a new one: account.apple.com → Sign-In and Security → App-Specific\n"#,
            r#"      Passwords, then:\n      keypulse replace nas\n"#,
            r#"      IMAP: NO [AUTHENTICATIONFAILED] Authentication Failed\n"#,
            r#"      SMTP: 535 5.7.8 Error: authentication failed\n\n"#,
            r#"1 healthy, 1 revoked · daemon running since 14:02</tt>","class":"critical","percentage":50}"#,
        );
        assert_eq!(line, expected, "\n--- shown:\n{line}");
    }

    #[test]
    fn a_bar_shows_what_the_trouble_is() {
        assert_eq!(trouble("there is no <configuration>\n"), "keypulse ? there is no <configuration> ");
        assert_eq!(
            waybar_trouble("no <configuration>"),
            concat!(
                r#"{"text":"keypulse ? no &lt;configuration&gt;","alt":"unknown","#,
                r#""tooltip":"<tt>no &lt;configuration&gt;</tt>","class":"unknown","percentage":0}"#
            )
        );
    }
}
