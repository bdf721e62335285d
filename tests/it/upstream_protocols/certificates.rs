//! An authority for one test, and certificates of it: good, expired, for somebody else.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;

/// Files in PEM: `ca.pem`, and what [`Authority::issue`] makes.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("authority {}", NEXT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let dir = tempfile::tempdir().expect("a folder for the test");
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).expect("the folder takes a file");
        Self { issuer, dir }
    }

    /// The folder of the files.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The path of a file.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `NAME.pem` and `NAME.key`, for these hosts.
    pub(super) fn issue(&self, name: &str, hosts: &[&str]) {
        self.issue_with(name, hosts, |_| ());
    }

    /// One whose time is over.
    pub(super) fn issue_expired(&self, name: &str, hosts: &[&str]) {
        self.issue_with(name, hosts, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        });
    }

    /// One for a client.
    pub(super) fn issue_client(&self, name: &str) {
        self.issue_with(name, &[name], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
    }

    fn issue_with(&self, name: &str, hosts: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("names");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.file(&format!("{name}.pem")), certificate.pem()).expect("the folder takes a file");
        std::fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).expect("the folder takes a file");
    }
}
