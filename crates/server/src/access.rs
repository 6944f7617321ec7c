//! Who may call which route, declared beside the route: [`Routes::add`] takes no route without it.
//!
//! The declaration is used three times: to guard the route, to describe it in the OpenAPI
//! document, and in the test that calls every route as everybody.

use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use gofleet_api::ProblemCode;
use gofleet_core::account::{Permission, Subject};
use gofleet_core::ids::{DeviceId, EdgeId};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, SecurityRequirement};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use crate::authentication::{Authenticated, Identity};
use crate::authorization::{CallingPerson, Decided, is_look};
use crate::failure::{Answer, Failure};
use crate::state::AppState;
use crate::tls::Caller;

/// The largest body of a quick request: the facts of a machine with a thousand Gos fit in.
const QUICK_BODY_BYTES: usize = 1 << 20;
/// How long a quick request may take from its first byte to its answer.
const QUICK_TIMEOUT: Duration = Duration::from_secs(30);

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a credential.
    Anyone,
    /// Devices, each for itself.
    Device,
    /// Distribution points, each for itself.
    Edge,
    /// People whom policies permit this.
    Person(Permission),
    /// All of them.
    Known,
}

/// How long a route may take, and how much it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// A small body, an answer at once.
    Quick,
    /// A transfer or a wait, which bounds itself.
    Long,
}

/// A route as it was declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Like `GET`.
    pub method: &'static str,
    /// Below the API's prefix, like `/devices/{id}`.
    pub path: String,
    /// Who may call it.
    pub access: Access,
}

/// The routes of the API, as they are declared.
#[derive(Default)]
pub struct Routes {
    router: OpenApiRouter<AppState>,
    table: Vec<Route>,
}

impl Routes {
    /// Adds the handlers of one path.
    #[must_use]
    pub fn add(
        mut self,
        access: Access,
        pace: Pace,
        (schemas, mut paths, methods): UtoipaMethodRouter<AppState>,
    ) -> Self {
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                operation.security = Some(access.security());
                self.table.push(Route { method, path: path.clone(), access });
            }
        }
        let guard = move |request: Request, next: Next| guard(access, pace, request, next);
        let routes = (schemas, paths, methods).map(|methods| {
            let methods = methods.route_layer(middleware::from_fn(guard));
            match pace {
                Pace::Quick => methods.layer(DefaultBodyLimit::max(QUICK_BODY_BYTES)),
                Pace::Long => methods.layer(DefaultBodyLimit::disable()),
            }
        });
        self.router = self.router.routes(routes);
        self
    }

    /// Takes in the routes of another part.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.table.extend(other.table);
        self
    }

    /// The router, the document that describes it, and the declarations.
    pub fn finish(self) -> (Router<AppState>, OpenApi, Vec<Route>) {
        let (router, document) = self.router.split_for_parts();
        (router, document, self.table)
    }
}

/// The operations of a path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, options, head, patch, trace, query, .. } = item;
    [
        ("GET", get),
        ("PUT", put),
        ("POST", post),
        ("DELETE", delete),
        ("OPTIONS", options),
        ("HEAD", head),
        ("PATCH", patch),
        ("TRACE", trace),
        ("QUERY", query),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

impl Access {
    /// As the OpenAPI document says it: any one of the list suffices.
    fn security(self) -> Vec<SecurityRequirement> {
        let schemes: &[&str] = match self {
            Self::Anyone => return vec![SecurityRequirement::default()],
            Self::Device => &["device"],
            Self::Edge => &["edge"],
            Self::Person(_) => &["token", "session"],
            Self::Known => &["device", "edge", "token", "session"],
        };
        schemes.iter().map(|scheme| SecurityRequirement::new(*scheme, [""; 0])).collect()
    }

    /// Whether a caller of this kind may.
    fn admits(self, caller: Option<&Identity>) -> Answer<()> {
        let is_admitted = match (self, caller) {
            (Self::Anyone, _)
            | (Self::Known, Some(_))
            | (Self::Device, Some(Identity::Device(_)))
            | (Self::Edge, Some(Identity::Edge(_)))
            | (Self::Person(_), Some(Identity::Person(_))) => return Ok(()),
            (Self::Person(_), Some(_)) => "a person",
            (Self::Device, Some(_)) => "a device",
            (Self::Edge, Some(_)) => "a distribution point",
            (Self::Device | Self::Edge | Self::Person(_) | Self::Known, None) => {
                return Err(Failure::new(ProblemCode::Unauthenticated, "no credential was sent")
                    .with_hint(
                        "log in with `gofleet login`, or send the token as `Authorization: Bearer …`",
                    ));
            }
        };
        Err(Failure::new(ProblemCode::Forbidden, format!("only {is_admitted} may do this")))
    }
}

/// Whether the person who sends a request may do what its route needs. What only looks is decided
/// here. What changes something is decided where it is known what it changes; here those are sent
/// away whose roles can't permit it whatever that is.
///
/// # Errors
///
/// [`Failure`] tells what is missing.
pub async fn decide(request: &mut Request, permission: Permission) -> Answer<()> {
    let state = request.extensions().get::<AppState>().cloned();
    let state = state.expect("who calls was looked at with the server's state");
    let (mut parts, body) = std::mem::take(request).into_parts();
    let caller = CallingPerson::from_request_parts(&mut parts, &state).await;
    *request = Request::from_parts(parts, body);
    let caller = caller?;
    match is_look(permission) {
        true => drop(caller.may(&state, permission, Subject::Fleet {}).await?),
        false => match caller.could(permission) {
            Ok(()) => {}
            // Asked in full, so that the refusal is written down.
            Err(failure) => {
                let subject = Subject::of_kind(permission.subject());
                return Err(caller.may(&state, permission, subject).await.err().unwrap_or(failure));
            }
        },
    }
    request.extensions_mut().insert(Decided(permission));
    Ok(())
}

/// Lets a request through to its route, or not.
async fn guard(access: Access, pace: Pace, mut request: Request, next: Next) -> Response {
    if access != Access::Anyone {
        let mut admitted = match request.extensions().get::<Authenticated>() {
            Some(Authenticated(Ok(caller))) => access.admits(caller.as_ref()),
            Some(Authenticated(Err(failure))) => Err(failure.clone()),
            None => access.admits(None),
        };
        if let (Ok(()), Access::Person(permission)) = (&admitted, access) {
            admitted = decide(&mut request, permission).await;
        }
        if let Err(failure) = admitted {
            return failure.into_response();
        }
    }
    match pace {
        Pace::Long => next.run(request).await,
        Pace::Quick => match tokio::time::timeout(QUICK_TIMEOUT, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Failure::new(
                ProblemCode::Timeout,
                format!("the request was not done within {} s", QUICK_TIMEOUT.as_secs()),
            )
            .into_response(),
        },
    }
}

/// The device that calls; for routes that [`Access::Device`] guards.
pub struct CallingDevice(pub DeviceId);

impl<S: Sync> FromRequestParts<S> for CallingDevice {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        match parts.extensions.get::<Authenticated>() {
            Some(Authenticated(Ok(Some(Identity::Device(device))))) => Ok(Self(device.clone())),
            _ => Err(Failure::new(ProblemCode::Forbidden, "only a device may do this")),
        }
    }
}

/// The distribution point that calls; for routes that [`Access::Edge`] guards.
pub struct CallingEdge(pub EdgeId);

impl<S: Sync> FromRequestParts<S> for CallingEdge {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        match parts.extensions.get::<Authenticated>() {
            Some(Authenticated(Ok(Some(Identity::Edge(edge))))) => Ok(Self(edge.clone())),
            _ => Err(Failure::new(ProblemCode::Forbidden, "only a distribution point may do this")),
        }
    }
}

/// The address that a request came from, by the connection that it came over. Behind a proxy that
/// is the proxy's: what a header says of it anybody can write.
pub struct Peer {
    /// The address.
    pub address: Option<String>,
    /// Whether the connection is one by TLS.
    pub is_tls: bool,
}

impl Peer {
    /// Whether the request came from the server's own machine.
    pub fn is_local(&self) -> bool {
        let address = self.address.as_deref().and_then(|it| it.parse::<IpAddr>().ok());
        address.is_some_and(|address| address.is_loopback())
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let caller = parts.extensions.get::<ConnectInfo<Caller>>();
        let caller = caller.map(|ConnectInfo(caller)| caller);
        Ok(Self {
            address: caller.map(|it| it.address.ip().to_canonical().to_string()),
            is_tls: caller.is_some_and(|it| it.is_tls),
        })
    }
}
