//! An authority of one's own, and the certificates that it signs for servers.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What who trusts it is given.
    pub pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// TLS as the server `name`, with a certificate that this authority has signed.
    pub fn server(&self, name: &str) -> TlsAcceptor {
        self.sign(&certificate(name))
    }

    /// The same, with a certificate of the year 2020.
    pub fn expired(&self, name: &str) -> TlsAcceptor {
        let mut params = certificate(name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 12, 31);
        self.sign(&params)
    }

    /// The same, with a certificate of the year 2999.
    pub fn not_yet_valid(&self, name: &str) -> TlsAcceptor {
        let mut params = certificate(name);
        params.not_before = date_time_ymd(2999, 1, 1);
        params.not_after = date_time_ymd(2999, 12, 31);
        self.sign(&params)
    }

    /// The same, with a certificate that may itself sign others.
    pub fn as_authority(&self, name: &str) -> TlsAcceptor {
        let mut params = certificate(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        TlsAcceptor::from(Arc::new(config))
    }
}

fn certificate(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).expect("a name")
}
