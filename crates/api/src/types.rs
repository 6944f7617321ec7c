//! Request and response bodies: the API's own, and those of the core that travel as they are.

mod account;
mod anomaly;
mod audit;
mod collection;
mod edge;
mod emergency;
mod enrolment;
mod hold;
mod release;
mod rollout;
mod session;
mod trust;

pub use account::{
    AccountChange, AccountRequest, ApiTokenRequest, FirstPassword, NewApiToken, PasswordRequest,
    RuleDetail, RuleRequest, RuleTrial, TokenLoginRequest, WhoAmI,
};
pub use anomaly::{AnomalyRule, AnomalyRules, Baseline};
pub use audit::AuditHead;
pub use collection::{CollectionDetail, CollectionRequest, CollectionSummary};
pub use edge::{EnrolEdgeRequest, EnrolEdgeResponse};
pub use emergency::{EmergencyRequest, EmergencyView};
pub use enrolment::{EnrolRequest, EnrolResponse, IssuedCertificate, RenewalRequest};
pub use hold::{HoldRequest, QuarantineRequest, QuarantineView};
pub use release::{DecisionRequest, UploadOutcome};
pub use rollout::{AssignRequest, PreviewAnswer, SimulatedPlan};
pub use session::{Health, LoginLink, LoginRequest, NewToken, TokenRequest, TokenView};
pub use trust::{ImportTrust, SealedOrder, TrustKeys, TrustStanding, TrustView};

pub use gofleet_core::account::{
    AccessDecision, Account, ApiToken, Grant, Permission, Refusal, Role, Rule,
};
pub use gofleet_core::advice::Measured;
pub use gofleet_core::anomaly::{
    ConditionView, DeviceHealth, RuleView, Sample, Standing, Withheld,
};
pub use gofleet_core::audit::{Actor, AuditEntry, Head};
pub use gofleet_core::collection::{Collection, Member, Members, Roster, RosterChange};
pub use gofleet_core::device::{Device, DeviceDetail, DeviceHistory, Overview, VersionCount};
pub use gofleet_core::edge::{Edge, EdgeReport};
pub use gofleet_core::event::{Change, Event};
pub use gofleet_core::hold::{Hold, KeptOut, Quarantine, QuarantineCause};
pub use gofleet_core::hook::{DeliveryState, HookDelivery, HookEvent, HookTarget};
pub use gofleet_core::rollout::forecast::Forecast;
pub use gofleet_core::rollout::{
    DeviceStatus, LeftOut, PlannedDevice, PlannedRing, Preview, Reason, RingState, RingStatus,
    RolloutPlan, RolloutState, RolloutStatus, RolloutSummary, Tally, Traffic, WayTraffic,
};
pub use gofleet_core::ways::{EdgeOffer, Way, WayKind, WayStep, WaysAnswer, WaysRequest};
