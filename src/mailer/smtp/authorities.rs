//! Whose signature on a mail server's certificate is believed.
//!
//! Read once by the configuration. Certificates of one's own stand *instead* of the built-in
//! authorities, not beside them: whoever names the one that signs for their server need not trust
//! all the others for it.

use std::sync::Arc;

use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Who may vouch for the mail server. Cheap to clone.
#[derive(Clone, Default)]
pub struct Authorities {
    /// The only ones, or none: then the public ones that are built into the binary.
    own: Option<Arc<[CertificateDer<'static>]>>,
}

/// The text holds no certificates of authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// No `BEGIN CERTIFICATE`.
    #[error("holds no certificate in PEM form")]
    None,
    /// There is one, but it cannot be read.
    #[error("holds a certificate that cannot be read")]
    Unreadable,
}

impl Authorities {
    /// Only those whose certificates stand in `pem`.
    ///
    /// # Errors
    ///
    /// [`AuthoritiesError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let own = read.map_err(|_| AuthoritiesError::Unreadable)?;
        if own.is_empty() {
            return Err(AuthoritiesError::None);
        }
        let mut roots = RootCertStore::empty();
        for certificate in &own {
            roots
                .add(certificate.clone())
                .map_err(|_| AuthoritiesError::Unreadable)?;
        }
        Ok(Self {
            own: Some(own.into()),
        })
    }

    /// For TLS from the first byte.
    pub(super) fn connector(&self) -> Result<TlsConnector, tokio_rustls::rustls::Error> {
        let mut roots = RootCertStore::empty();
        match &self.own {
            Some(own) => {
                roots.add_parsable_certificates(own.iter().cloned());
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// For STARTTLS, which the library says and then shakes hands itself.
    pub(super) fn parameters(
        &self,
        host: &str,
    ) -> Result<TlsParameters, lettre::transport::smtp::Error> {
        let mut builder = TlsParameters::builder(host.to_owned());
        builder = match &self.own {
            None => builder.certificate_store(CertificateStore::WebpkiRoots),
            Some(_) => builder.certificate_store(CertificateStore::None),
        };
        for certificate in self.own.iter().flat_map(|own| own.iter()) {
            builder = builder.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_authorities_holds_at_least_one_and_none_that_is_broken() {
        let refused = |pem: &str| Authorities::from_pem(pem.as_bytes()).err();
        assert_eq!(refused(""), Some(AuthoritiesError::None));
        assert_eq!(
            refused("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            Some(AuthoritiesError::None)
        );
        for broken in ["AAAA", "%", ""] {
            let pem = format!("-----BEGIN CERTIFICATE-----\n{broken}\n-----END CERTIFICATE-----\n");
            assert_eq!(
                refused(&pem),
                Some(AuthoritiesError::Unreadable),
                "{broken}"
            );
        }
        assert_eq!(
            refused("-----BEGIN CERTIFICATE-----\nAAAA"),
            Some(AuthoritiesError::Unreadable)
        );
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&key).expect("a certificate").pem();
        let two = format!("# ours\n{pem}{pem}");
        let own = Authorities::from_pem(two.as_bytes()).expect("two").own;
        assert_eq!(own.map(|own| own.len()), Some(2));
    }
}
