//! TLS towards a ClickHouse server: TLS 1.2 and 1.3, the system's certificate authorities or those of a file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clickhouse::Client;
use hyper_rustls::{ConfigBuilderExt, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::engine::StoreError;

/// A server closes idle connections after 3 s by default; an insert must not meet one that is being closed.
const IDLE: Duration = Duration::from_secs(2);
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A client that speaks TLS only. Its authorities are those of `ca` if there is one, else the system's.
///
/// # Errors
/// When there are no authorities.
pub(super) fn client(ca: Option<&Path>) -> Result<Client, StoreError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls_config(ca)?)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    let http = HttpClient::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(https);
    Ok(Client::with_http_client(http))
}

fn tls_config(ca: Option<&Path>) -> Result<ClientConfig, StoreError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Authorities(error.to_string()))?;
    let builder = match ca {
        Some(path) => builder.with_root_certificates(authorities(path)?),
        None => builder.with_native_roots().map_err(|error| {
            StoreError::Authorities(format!("this system has none ({error}); name a file as ca"))
        })?,
    };
    Ok(builder.with_no_client_auth())
}

fn authorities(path: &Path) -> Result<RootCertStore, StoreError> {
    let failed = |reason: String| StoreError::Authorities(format!("{}: {reason}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(failed("it has no certificate".to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio_rustls::TlsAcceptor;

    use super::super::clickhouse::{ServerEngine, ServerOptions};
    use super::*;

    /// A server over TLS that says yes to everything, and the authority that vouches for it.
    struct Server {
        addr: SocketAddr,
        authority: String,
        statements: mpsc::UnboundedReceiver<String>,
    }

    async fn server() -> Server {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = issuer.pem();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (said, statements) = mpsc::unbounded_channel();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = vec![0; 16 * 1024];
                let read = stream.read(&mut request).await.unwrap();
                said.send(String::from_utf8_lossy(&request[..read]).into_owned()).unwrap();
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        });
        Server { addr, authority, statements }
    }

    async fn open(host: &str, port: u16, ca: Option<&Path>) -> Result<ServerEngine, StoreError> {
        let options = ServerOptions {
            url: format!("https://{host}:{port}"),
            ca: ca.map(Path::to_owned),
            database: "tollgate".to_owned(),
            user: None,
            timeout: Duration::from_secs(10),
        };
        ServerEngine::open(&options, None).await
    }

    #[tokio::test]
    async fn a_server_that_the_named_authority_vouches_for_is_spoken_to() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = server().await;
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, &server.authority).unwrap();
        open("localhost", server.addr.port(), Some(&ca)).await.unwrap();
        let request = server.statements.recv().await.unwrap();
        assert!(request.contains("CREATE DATABASE IF NOT EXISTS `tollgate`"), "{request}");
        // The certificate is for a name, not for this address.
        let error = open("127.0.0.1", server.addr.port(), Some(&ca)).await.unwrap_err();
        assert!(matches!(&error, StoreError::Unreachable(why) if why.contains("certificate")), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_nobody_vouches_for_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (mut server, other) = (server().await, server().await);
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, other.authority).unwrap();
        let error = open("localhost", server.addr.port(), Some(&ca)).await.unwrap_err();
        assert!(matches!(&error, StoreError::Unreachable(why) if why.contains("certificate")), "{error}");
        assert!(server.statements.try_recv().is_err(), "nothing was sent");
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, "no certificate").unwrap();
        for path in [ca.as_path(), Path::new("/nowhere/ca.pem")] {
            let error = client(Some(path)).map(drop).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
