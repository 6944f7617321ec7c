//! One port for both: whoever begins with a TLS handshake gets TLS; whoever does not gets plain
//! HTTP if it is this machine, and else a word on what to do.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use gofleet_core::digest::Digest;
use gofleet_core::time::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use super::authority::{public_key, validity};
use super::{Shown, TlsError};

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How many handshakes may be under way at once: a processor signs some 10,000 in the time that one
/// may take, and whoever opens connections without a word holds no more than this.
const HANDSHAKES: usize = 4096;
/// How long accepting pauses when the system has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The type of the first record of a TLS handshake (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// What is known of whoever opened a connection.
#[derive(Debug, Clone)]
pub struct Caller {
    /// From where.
    pub address: SocketAddr,
    /// Whether by TLS.
    pub is_tls: bool,
    /// The certificate that it showed and has the key of, if it showed one.
    pub certificate: Option<ShownCertificate>,
}

/// A certificate of our authority whose holder proved to have its key.
#[derive(Debug, Clone, Copy)]
pub struct ShownCertificate {
    /// The digest of its public key.
    pub key: Digest,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Connected<IncomingStream<'_, TlsListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A connection, with TLS or without.
pub enum Stream {
    /// With this machine only.
    Plain(TcpStream),
    /// With everybody.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A listener for both.
pub struct TlsListener {
    local: SocketAddr,
    ready: mpsc::Receiver<(Stream, Caller)>,
    accepting: JoinHandle<()>,
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl TlsListener {
    /// Listens with this certificate, and takes certificates of the authority. Without
    /// `takes_plain`, plain HTTP is refused to this machine as well.
    ///
    /// # Errors
    ///
    /// [`TlsError::Make`] if the authority cannot be used.
    pub fn new(
        listener: TcpListener,
        local: SocketAddr,
        shown: Arc<Shown>,
        authority: Option<&CertificateDer<'static>>,
        takes_plain: bool,
    ) -> Result<Self, TlsError> {
        let make = |error: &dyn ToString| TlsError::Make(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| make(&error))?;
        let builder = match authority {
            None => builder.with_no_client_auth(),
            Some(authority) => builder.with_client_cert_verifier(client_verifier(authority)?),
        };
        let mut config = builder.with_cert_resolver(shown);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (sender, ready) = mpsc::channel(16);
        let accepting = tokio::spawn(accept(listener, acceptor, sender, takes_plain));
        Ok(Self { local, ready, accepting })
    }
}

impl Listener for TlsListener {
    type Io = Stream;
    type Addr = Caller;

    async fn accept(&mut self) -> (Stream, Caller) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Caller> {
        Ok(Caller { address: self.local, is_tls: true, certificate: None })
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<(Stream, Caller)>,
    takes_plain: bool,
) {
    let turns = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            let opened = open(stream, address, &acceptor, takes_plain);
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, opened).await {
                // Nobody to send to: the listener has ended, and with it the connection.
                Ok(Ok(Some(connection))) => drop(ready.send(connection).await),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => debug!(%address, %error, "no handshake came about"),
                Err(_) => debug!(%address, "the handshake took too long"),
            }
            drop(turn);
        });
    }
}

async fn open(
    mut stream: TcpStream,
    address: SocketAddr,
    acceptor: &TlsAcceptor,
    takes_plain: bool,
) -> io::Result<Option<(Stream, Caller)>> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first[0] == HANDSHAKE_RECORD {
        let stream = acceptor.accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(ShownCertificate::read).transpose();
        let certificate = certificate.map_err(io::Error::other)?;
        let caller = Caller { address, is_tls: true, certificate };
        return Ok(Some((Stream::Tls(Box::new(stream)), caller)));
    }
    if takes_plain && address.ip().to_canonical().is_loopback() {
        let caller = Caller { address, is_tls: false, certificate: None };
        return Ok(Some((Stream::Plain(stream), caller)));
    }
    let text = "this is a TLS port: write the address with https://\n";
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{text}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(None)
}

impl ShownCertificate {
    /// What counts of a certificate.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, expires_at) = validity(certificate)?;
        Ok(Self { key: Digest::of(&public_key(certificate)?), expires_at })
    }
}

/// What takes the certificates of this authority in a handshake, from whoever shows one.
///
/// # Errors
///
/// [`TlsError::Make`] if the authority cannot be used.
pub fn client_verifier(
    authority: &CertificateDer<'static>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let make = |error: &dyn ToString| TlsError::Make(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(|error| make(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| make(&error))?;
    Ok(Arc::new(WhenIssued(inner)))
}

/// Verifies as WebPKI does, but at the time at which the certificate was issued. Whether it is good
/// still is asked with each request, by the server's clock, where the answer can say what to do
/// and a connection that lives for long is no way around it.
#[derive(Debug)]
struct WhenIssued(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for WhenIssued {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let (issued, _) = validity(end_entity).map_err(rustls::Error::General)?;
        let since_epoch = u64::try_from(issued.as_millis()).unwrap_or(0);
        let issued = UnixTime::since_unix_epoch(Duration::from_millis(since_epoch));
        self.0.verify_client_cert(end_entity, intermediates, issued)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
