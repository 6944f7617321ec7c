//! Bodies, paths and queries of requests, with what is wrong with them told as a problem.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use gofleet_api::ProblemCode;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// A body in JSON.
pub struct Json<T>(pub T);
/// The parameters in a path.
pub struct Path<T>(pub T);
/// The parameters after `?`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(of_json(&rejection)),
        }
    }
}

fn of_json(rejection: &JsonRejection) -> Failure {
    let code = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ProblemCode::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemCode::UnsupportedMediaType,
        _ => ProblemCode::InvalidRequest,
    };
    Failure::new(code, rejection.body_text())
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(parameters)) => Ok(Self(parameters)),
            // What cannot be an identifier names nothing that is there.
            Err(rejection @ PathRejection::FailedToDeserializePathParams(_)) => {
                Err(Failure::new(ProblemCode::NotFound, rejection.body_text()))
            }
            Err(rejection) => Err(Failure::new(ProblemCode::InvalidRequest, rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query: Result<_, QueryRejection> =
            axum::extract::Query::from_request_parts(parts, state).await;
        match query {
            Ok(axum::extract::Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(Failure::new(ProblemCode::InvalidRequest, rejection.body_text())),
        }
    }
}
