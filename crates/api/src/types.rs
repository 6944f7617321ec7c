//! The API's own request and response bodies.

mod device;
mod event;
mod release;
mod rollout;
mod session;

pub use device::{
    Device, DeviceDetail, DeviceHistory, EnrolRequest, EnrolResponse, Overview, VersionCount,
};
pub use event::Event;
pub use release::{DecisionRequest, UploadOutcome};
pub use rollout::*;
pub use session::{Health, LoginRequest, NewToken, TokenRequest, TokenView};
