//! TLS against somebody in the middle, through the real daemon: no certificate but the right one is taken, whatever is wrong
//! with it is said, none of it is a verdict, and nothing switches that off.

use std::{fs, path::Path, sync::Arc};

use keypulse::{health::evidence::Service, simulator::Fault};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use crate::lab::{Component, ICloud, Impostor, Keypulse, Port, Running, Show, account, clean, credential, run};

const ADDRESS: &str = "johnappleseed@icloud.com";
const NAME: &str = "mutt";
const NOBODY: &str = "the server's certificate is from nobody this machine trusts; no login was sent";
const OTHER_NAME: &str = "the server's certificate is for another name than ";
const REFUSED: &str = "the server's certificate was refused; no login was sent";

/// An authority, its key and its certificate.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

impl Authority {
    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn new(name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// One below it, with what `change` makes of it.
    fn below(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (Self::params("below"), KeyPair::generate().unwrap());
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A server's certificate for 127.0.0.1 and localhost, with what `change` makes of it.
    fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let (params, key) = leaf(change);
        served(vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()], &key)
    }

    /// The same, behind this authority's own certificate.
    fn server_behind(&self) -> Arc<ServerConfig> {
        let (params, key) = leaf(|_| {});
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        served(vec![certificate.der().clone(), self.certificate.der().clone()], &key)
    }
}

fn leaf(change: impl FnOnce(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "an impostor");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    (params, KeyPair::generate().unwrap())
}

fn served(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Arc<ServerConfig> {
    served_with(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

fn served_with(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(config.with_single_cert(chain, key).unwrap())
}

/// Only these names.
fn names(names: &[SanType]) -> impl FnOnce(&mut CertificateParams) {
    let names = names.to_vec();
    move |params| params.subject_alt_names = names
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// Runs openssl in `directory`.
#[track_caller]
fn openssl(directory: &Path, line: &str) {
    run(clean("openssl").current_dir(directory).args(line.split(' ')), "").ok();
}

/// A certificate for 127.0.0.1 that openssl signs with `digest`, below an authority of its own with such a key; and that
/// authority.
fn old(directory: &Path, key: &str, digest: &str) -> (Arc<ServerConfig>, String) {
    fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n").unwrap();
    openssl(directory, &format!("req -x509 -newkey {key} -nodes -keyout ca.key -out ca.pem -subj /CN=old -days 30"));
    openssl(directory, "req -new -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf");
    let sign =
        format!("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -{digest} -days 30 -extfile names -out leaf.pem");
    openssl(directory, &sign);
    let read = |name: &str| fs::read(directory.join(name)).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&read("leaf.pem")).unwrap()];
    let config = served_with(chain, PrivateKeyDer::from_pem_slice(&read("leaf.key")).unwrap());
    (config, String::from_utf8(read("ca.pem")).unwrap())
}

/// A daemon that checks on request, through somebody in the middle; it trusts the servers' authority and these.
struct Scene {
    icloud: ICloud,
    impostor: Impostor,
    keypulse: Keypulse,
    password: String,
}

impl Scene {
    fn new(host: &str, trusted: &[String]) -> Self {
        let icloud = ICloud::start();
        let impostor = Impostor::before(&icloud);
        let keypulse = Keypulse::new().env("KEYPULSE_LOG", "trace");
        let password = icloud.world.new_password(ADDRESS);
        let ca = keypulse.home().join("ca.pem");
        fs::write(&ca, [&[fs::read_to_string(icloud.ca()).unwrap()], trusted].concat().concat()).unwrap();
        let host = json!(host).to_string();
        let settings = impostor.settings(&icloud).set("imap", "host", &host).set("smtp", "host", &host);
        let settings = settings.only_on_request().extra_ca(&ca).account(ADDRESS);
        keypulse.configure(&settings.credential_file(NAME, &keypulse.secret(NAME, &password)));
        Self { icloud, impostor, keypulse, password }
    }

    #[track_caller]
    fn run(&self) -> Running<'_> {
        let daemon = self.keypulse.run();
        daemon.until_health(NAME, "healthy");
        daemon
    }

    #[track_caller]
    fn check(&self) -> Value {
        let answer = self.keypulse.request("POST", "/v1/check", r#"{"names":["mutt"],"wait_s":60}"#).unwrap();
        assert_eq!(answer.code, 200, "{answer:?}");
        let document = answer.json();
        assert!(account(&document, ADDRESS)["incident"].is_null(), "{document:#}");
        credential(&document, NAME).clone()
    }

    /// Both services fail in TLS and say why; it is no verdict, and nothing is sent.
    #[track_caller]
    fn refused(&self, what: &str, show: Show, words: &str) {
        self.impostor.show(show);
        let status = self.check();
        for service in status["services"].as_array().unwrap() {
            assert_eq!(json!([service["finding"], service["cause"]]), json!(["inconclusive", "tls-failed"]), "{what}");
            let detail = service["detail"].as_str().unwrap();
            assert!(detail.starts_with(words), "{what}: {detail}");
        }
        assert_eq!(status["services"].as_array().unwrap().len(), 2);
        assert_eq!(status["health"], "healthy", "{what}");
        assert_eq!(self.impostor.heard(), "", "{what}");
    }

    /// After all of it, all is as it was.
    #[track_caller]
    fn unhurt(&self, daemon: &Running<'_>) {
        self.impostor.show(Show::Real);
        let logins = self.icloud.world.logins().len();
        let status = self.check();
        assert_eq!(status["health"], "healthy");
        assert!(
            status["services"].as_array().unwrap().iter().all(|service| service["finding"] == "accepted"),
            "{status}"
        );
        assert_eq!(self.icloud.world.logins().len(), logins + 2);
        assert_eq!(account(&daemon.status_json(), ADDRESS)["failed_logins_24h"], 0);
        assert!(!daemon.log().contains("suspect") && !daemon.log().contains(&self.password), "{}", daemon.log());
    }
}

#[test]
fn no_wrong_certificate_is_accepted_and_none_is_a_verdict() {
    let desk = tempfile::tempdir().unwrap();
    let (sha1, small) = (desk.path().join("sha1"), desk.path().join("small"));
    for directory in [&sha1, &small] {
        fs::create_dir(directory).unwrap();
    }
    let (sha1, sha1_ca) = old(&sha1, "rsa:2048", "sha1");
    let (small, small_ca) = old(&small, "rsa:1024", "sha256");
    let (trusted, unknown) = (Authority::new("trusted"), Authority::new("unknown"));
    let scene = Scene::new("127.0.0.1", &[trusted.certificate.pem(), sha1_ca, small_ca]);
    let daemon = scene.run();

    let past = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    };
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2999, 1, 1);
    let expired = "the server's certificate has expired, or this machine's clock is wrong; no login was sent";
    let early = "the server's certificate is not valid yet, or this machine's clock is wrong; no login was sent";
    let not_for_servers = "the server's certificate is not for servers; no login was sent";
    let unsafe_signature = "the server's certificate is signed in a way that is not safe any more; no login was sent";
    let alone = {
        let (params, key) = leaf(|_| {});
        served(vec![params.self_signed(&key).unwrap().der().clone()], &key)
    };
    // Anybody with a certificate of his own could sign others, if it were not asked what it is for.
    let no_authority = trusted.below(|params| params.is_ca = IsCa::ExplicitNoCa);
    let cases = [
        ("expired", trusted.server(past), expired),
        ("behind an expired authority", trusted.below(past).server_behind(), expired),
        ("not valid yet", trusted.server(future), early),
        ("for another host", trusted.server(names(&[dns("imap.mail.me.com")])), OTHER_NAME),
        ("for the address as a name", trusted.server(names(&[dns("127.0.0.1")])), OTHER_NAME),
        ("for another address", trusted.server(names(&[SanType::IpAddress([127, 0, 0, 2].into())])), OTHER_NAME),
        ("for all addresses below", trusted.server(names(&[dns("*.0.0.1")])), OTHER_NAME),
        (
            "with a common name only",
            trusted.server(|params| {
                params.subject_alt_names = Vec::new();
                params.distinguished_name.push(DnType::CommonName, "127.0.0.1");
            }),
            OTHER_NAME,
        ),
        ("signed by itself", alone, NOBODY),
        ("of an unknown authority", unknown.server(|_| {}), NOBODY),
        ("behind an unknown authority", unknown.below(|_| {}).server_behind(), NOBODY),
        ("behind no authority", no_authority.server_behind(), ""),
        (
            "an authority's own",
            trusted.server(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            REFUSED,
        ),
        (
            "for clients",
            trusted.server(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            not_for_servers,
        ),
        ("signed with SHA-1", sha1, unsafe_signature),
        ("signed with a key of 1024 bits", small, ""),
    ];
    for (what, config, words) in cases {
        scene.refused(what, Show::Forged(config), words);
    }
    scene.unhurt(&daemon);

    // The witness: to the right certificate the login is sent, and this hears it.
    scene.impostor.show(Show::Forged(trusted.server(|_| {})));
    let asked = scene.keypulse.request("POST", "/v1/check", r#"{"wait_s":0}"#).unwrap();
    assert_eq!(asked.code, 202);
    daemon.until("a login", |_| scene.impostor.heard().contains("AUTHENTICATE PLAIN"));
}

#[test]
fn a_name_is_not_taken_for_an_address_nor_a_wildcard_for_more_than_it_says() {
    let trusted = Authority::new("trusted");
    let scene = Scene::new("localhost", &[trusted.certificate.pem()]);
    let daemon = scene.run();
    for (what, name) in [
        ("for the address only", SanType::IpAddress([127, 0, 0, 1].into())),
        ("for everything", dns("*")),
        ("for everything below", dns("*.localhost")),
        ("for a part of the name", dns("local*")),
        ("for names around it", dns("localhost.example.org")),
        ("for the end of it", dns("host")),
    ] {
        scene.refused(what, Show::Forged(trusted.server(names(&[name]))), "the server's certificate ");
    }
    scene.unhurt(&daemon);
}

#[test]
fn tls_before_1_2_is_refused() {
    let desk = tempfile::tempdir().unwrap();
    let (_, ca) = old(desk.path(), "rsa:2048", "sha256");
    let scene = Scene::new("127.0.0.1", &[ca]);
    let daemon = scene.run();
    for version in ["-tls1", "-tls1_1"] {
        let port = Port::free();
        let mut command = clean("openssl");
        command.current_dir(desk.path()).args(["s_server", "-quiet", "-cert", "leaf.pem", "-key", "leaf.key", version]);
        command.args(["-cipher", "DEFAULT@SECLEVEL=0", "-accept", &format!("127.0.0.1:{}", port.number())]);
        let server = Component::spawn("openssl s_server", &command, &desk.path().join("log")).without_grace();
        let address = ("127.0.0.1", port.number());
        server.until("its port", || std::net::TcpStream::connect(address).ok());
        // The witness: whoever wants this version gets it.
        let mut client = clean("openssl");
        client.args(["s_client", "-connect", &format!("127.0.0.1:{}", port.number()), version]);
        let talked = run(client.args(["-cipher", "DEFAULT@SECLEVEL=0"]), "");
        assert!(talked.stdout.contains("Verify return code"), "{version}: {talked:?}");
        let words = "the server offers no TLS that is safe (1.2 or later)";
        scene.refused(version, Show::Behind(port.number()), words);
    }
    scene.unhurt(&daemon);
}

#[test]
fn whoever_strips_or_forges_starttls_gets_no_login() {
    let scene = Scene::new("127.0.0.1", &[]);
    let daemon = scene.run();
    let forged = "250 AUTH PLAIN\r\n535 5.7.8 forged\r\n".to_owned();
    for (fault, cause) in [
        (Fault::StartTlsNotOffered, "tls-not-offered"),
        (Fault::StartTlsRefused, "tls-not-offered"),
        (Fault::InjectedBeforeTls(forged), "protocol-violation"),
        (Fault::PlainTextForTls, "protocol-violation"),
    ] {
        let before = scene.icloud.world.logins().len();
        scene.icloud.world.set_fault(Service::Smtp, Some(fault.clone()));
        let status = scene.check();
        let smtp = &status["services"][1];
        assert_eq!(json!([smtp["service"], smtp["finding"], smtp["cause"]]), json!(["smtp", "inconclusive", cause]));
        assert_eq!(status["health"], "healthy", "{fault:?}");
        let logins = scene.icloud.world.logins();
        assert!(logins[before..].iter().all(|login| login.service == Service::Imap && login.encrypted), "{fault:?}");
    }
    scene.icloud.set_fault(None);
    scene.unhurt(&daemon);
}

#[test]
fn nothing_switches_verification_off() {
    let suspicious = |text: &str| {
        let words =
            ["verif", "insecure", "unsafe", "skip", "danger", "invalid_cert", "self_signed", "no_check", "ignore"];
        let text = text.to_lowercase();
        words.into_iter().find(|word| text.contains(word))
    };
    // Every key that there is, as the program knows them.
    let keypulse = Keypulse::new();
    keypulse.configure_text("[tls]\nextra_ca = \"/etc/ssl/certs/ca-certificates.crt\"");
    let shown = keypulse.command(&["config", "show"]).ok();
    let table: toml::Table = shown.parse().unwrap_or_else(|error| panic!("{error}: {shown}"));
    assert_eq!(table["tls"].as_table().unwrap().keys().collect::<Vec<_>>(), ["extra_ca"]);
    let keys = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml")).unwrap();
    let keys = keys.lines().filter_map(|line| line.trim_start_matches(['#', ' ']).split_once('='));
    for (key, _) in keys.filter(|(key, _)| !key.trim().contains(' ')) {
        assert_eq!(suspicious(key), None, "{key}");
    }
    assert!(shown.contains("confirm"), "{shown}");
    // None of these is one: the daemon does not start with it.
    for (line, word) in [
        ("[tls]\nverify = false", "unknown key `verify`"),
        ("[imap]\nverify = false", "unknown key `verify`"),
        ("[smtp]\ninsecure = true", "unknown key `insecure`"),
        ("[imap]\ntls = \"none\"", "there is no mode without encryption"),
        ("[smtp]\ntls = \"plain\"", "`tls` is"),
        ("[tls]\nmin_version = \"1.0\"", "unknown key `min_version`"),
    ] {
        keypulse.configure_text(line);
        let output = keypulse.command(&["config", "check"]);
        assert!(output.code == 78 && output.stderr.contains(word), "{line}: {output:?}");
    }
    // Nor is an option, of any command.
    let help = keypulse.command(&["--help"]).ok();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description may go on in the next line, further in.
    let commands = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let commands: Vec<&str> = commands.filter(|name| !name.is_empty()).collect();
    assert!(commands.contains(&"run") && commands.contains(&"add"), "{commands:?}");
    for command in commands {
        for option in
            keypulse.command(&[command, "--help"]).ok().split_whitespace().filter(|word| word.starts_with("--"))
        {
            // `add --no-verify` does without the login, and so without TLS.
            assert!(option.starts_with("--no-verify") || suspicious(option).is_none(), "{command} {option}");
        }
    }
}
