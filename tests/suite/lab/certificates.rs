//! A throw-away certificate authority and the servers' certificate.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;

/// A CA and a certificate for `localhost` and 127.0.0.1, as PEM files.
pub struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// Makes both.
    pub fn new() -> Self {
        // Not below /tmp, which a sandboxed service has of its own; for any account to read, as keys for a test may be.
        let open = fs::Permissions::from_mode(0o755);
        let dir = tempfile::Builder::new().prefix("certificates").permissions(open).tempdir_in("/srv").unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "keypulse tests");
        let key = KeyPair::generate().unwrap();
        fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);

        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::CommonName, "localhost");
        let key = KeyPair::generate().unwrap();
        fs::write(dir.path().join("cert.pem"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { dir }
    }

    /// The authority's certificate: for `tls.extra_ca`.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The servers' certificate.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// Its key.
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }
}
