//! The OpenAPI document describes the routes that there are, and only those.

use std::collections::BTreeSet;

use gofleet_server::api;
use reqwest::StatusCode;
use serde_json::Value;

use crate::support::TestServer;

fn documented() -> BTreeSet<(String, String)> {
    let document: Value = serde_json::to_value(api::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

#[tokio::test]
async fn what_is_declared_is_documented_and_answered() {
    let declared: BTreeSet<_> = api::table()
        .into_iter()
        .map(|route| (route.method.to_owned(), format!("/api/v1{}", route.path)))
        .collect();
    assert_eq!(documented(), declared);
    let server = TestServer::start().await;
    for (method, path) in declared {
        let path = path.trim_start_matches("/api/v1").replace("{id}", "x").replace("{sha256}", "x");
        let response = server.request(&method, &path).send().await.unwrap();
        let status = response.status();
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_ne!(status, StatusCode::NOT_FOUND, "{method} {path}");
    }
}

/// The methods that a path allows, as the router itself tells.
#[tokio::test]
async fn no_route_answers_that_is_not_documented() {
    let server = TestServer::start().await;
    let documented = documented();
    let paths: BTreeSet<_> = documented.iter().map(|(_, path)| path.clone()).collect();
    for path in paths {
        let concrete = path.trim_start_matches("/api/v1").replace("{id}", "x");
        let concrete = concrete.replace("{sha256}", "x");
        let response = server.request("TRACE", &concrete).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = response.headers()["allow"].to_str().unwrap().to_owned();
        for method in allowed.split(',').map(str::trim) {
            let is_documented = documented.contains(&(method.to_owned(), path.clone()));
            // axum answers HEAD wherever it answers GET.
            let comes_with_get =
                method == "HEAD" && documented.contains(&("GET".to_owned(), path.clone()));
            assert!(is_documented || comes_with_get, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_document_is_served_and_complete() {
    let server = TestServer::start().await;
    let response = server.request("GET", "/openapi.json").send().await.unwrap();
    let document: Value = response.json().await.unwrap();
    assert_eq!(document, serde_json::to_value(api::document()).unwrap());
    assert_eq!(document["openapi"].as_str().map(|version| &version[..2]), Some("3."));
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is referred to but not described");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} says nothing of itself");
            assert!(operation["security"].is_array(), "{method} {path}");
        }
    }
}
