//! The routes of `/api/v1`, each with who may call it, and the document that describes them.

mod accounts;
mod agent;
mod anomaly;
mod artifacts;
mod audit;
mod certificates;
mod collections;
mod devices;
mod edges;
mod emergency;
mod events;
mod holds;
mod meta;
mod releases;
mod rollouts;
mod rules;
mod sessions;
mod trust;

use axum::body::Bytes;
use axum::{Router, middleware};
use gofleet_api::API_PREFIX;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Info, License, OpenApi};

use crate::access::{Route, Routes};
use crate::state::AppState;
use crate::{authentication, http};

/// Every route of the API as it was declared.
fn routes() -> Routes {
    Routes::default()
        .merge(meta::routes())
        .merge(sessions::routes())
        .merge(agent::routes())
        .merge(artifacts::routes())
        .merge(edges::routes())
        .merge(devices::routes())
        .merge(releases::routes())
        .merge(rollouts::routes())
        .merge(emergency::routes())
        .merge(holds::routes())
        .merge(collections::routes())
        .merge(anomaly::routes())
        .merge(events::routes())
        .merge(audit::routes())
        .merge(accounts::routes())
        .merge(rules::routes())
        .merge(trust::routes())
}

/// The API's router, mounted below its prefix.
pub fn router(state: &AppState) -> Router {
    let (router, _, _) = routes().finish();
    state.document().get_or_init(|| {
        Bytes::from(serde_json::to_vec(&document()).expect("the document is plain data"))
    });
    let api = router
        .fallback(http::not_found)
        .method_not_allowed_fallback(http::method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), authentication::layer))
        .with_state(state.clone());
    Router::new().nest(API_PREFIX, api)
}

/// The OpenAPI document of the API.
pub fn document() -> OpenApi {
    let (_, routes, _) = routes().finish();
    let mut info = Info::new("gofleet", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Upgrades Go on whole fleets of machines, ring by ring. Errors are problem details \
         (RFC 9457) of the schema `Problem`."
            .to_owned(),
    );
    info.license = Some(License::new("Apache-2.0"));
    let mut document = OpenApi::new(info, utoipa::openapi::Paths::new()).nest(API_PREFIX, routes);
    let components = document.components.get_or_insert_with(Components::new);
    for (name, scheme) in security_schemes() {
        components.add_security_scheme(name, scheme);
    }
    document
}

/// Every declared route, for the tests and the documentation.
pub fn table() -> Vec<Route> {
    routes().finish().2
}

fn security_schemes() -> [(&'static str, SecurityScheme); 4] {
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("An API token, or the administrator's token.".to_owned());
    let certificate = |whose: &str| SecurityScheme::MutualTls {
        description: Some(format!("The certificate that {whose} got when it enrolled.")),
        deprecated: None,
        extensions: None,
    };
    let cookie = ApiKeyValue::with_description(
        gofleet_api::SESSION_COOKIE,
        "A console session. What changes something must come from a page of the server (`Origin`).",
    );
    [
        ("token", SecurityScheme::Http(bearer)),
        ("device", certificate("a device")),
        ("edge", certificate("a distribution point")),
        ("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
    ]
}
