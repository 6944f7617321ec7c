//! What administrators ask of the server.

use gofleet_core::artifact::Artifact;
use gofleet_core::edge::Edge;
use gofleet_core::ids::{CollectionName, DeviceId, EdgeId, HoldId, ReleaseId, RolloutId};
use gofleet_core::manifest::Manifest;
use gofleet_core::release::Release;
use gofleet_core::rollout::RolloutSpec;
use reqwest::Method;

use super::{Client, ClientError};
use crate::types::{
    AnomalyRules, AssignRequest, Collection, CollectionDetail, CollectionRequest,
    CollectionSummary, DecisionRequest, Device, DeviceDetail, EmergencyRequest, EmergencyView,
    Event, Hold, HoldRequest, LoginLink, Measured, NewToken, Overview, PreviewAnswer,
    QuarantineRequest, QuarantineView, RolloutPlan, RolloutStatus, RolloutSummary, RosterChange,
    SimulatedPlan, TokenRequest, TokenView,
};

/// Every function fails with [`ClientError::Problem`] where the server refuses, and with its
/// other variants where the server cannot be asked.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
impl Client {
    /// The fleet at a glance.
    pub async fn overview(&self) -> Result<Overview, ClientError> {
        self.ask(Method::GET, "/overview").await
    }

    /// What the latest finished rollouts say of the fleet.
    pub async fn measured(&self) -> Result<Measured, ClientError> {
        self.ask(Method::GET, "/measured").await
    }

    /// Whether the emergency stop holds.
    pub async fn emergency(&self) -> Result<EmergencyView, ClientError> {
        self.ask(Method::GET, "/emergency").await
    }

    /// Stops everything.
    pub async fn stop_everything(
        &self,
        request: &EmergencyRequest,
    ) -> Result<EmergencyView, ClientError> {
        self.tell_by(Method::PUT, "/emergency", request).await
    }

    /// Lifts the emergency stop.
    pub async fn lift_emergency(&self) -> Result<EmergencyView, ClientError> {
        self.ask(Method::DELETE, "/emergency").await
    }

    /// The holds that hold now or will.
    pub async fn holds(&self) -> Result<Vec<Hold>, ClientError> {
        self.ask(Method::GET, "/holds").await
    }

    /// Makes a hold.
    pub async fn hold(&self, request: &HoldRequest) -> Result<Hold, ClientError> {
        self.tell("/holds", request).await
    }

    /// Lifts a hold.
    pub async fn lift_hold(&self, hold: &HoldId) -> Result<Hold, ClientError> {
        self.ask(Method::DELETE, &format!("/holds/{hold}")).await
    }

    /// Every collection, without the names that they list.
    pub async fn collections(&self) -> Result<Vec<CollectionSummary>, ClientError> {
        self.ask(Method::GET, "/collections").await
    }

    /// A collection with whom it holds.
    pub async fn collection(&self, name: &CollectionName) -> Result<CollectionDetail, ClientError> {
        self.ask(Method::GET, &format!("/collections/{name}")).await
    }

    /// Writes who belongs to a collection; tells who comes and who goes.
    pub async fn set_collection(
        &self,
        name: &CollectionName,
        request: &CollectionRequest,
    ) -> Result<RosterChange, ClientError> {
        self.tell_by(Method::PUT, &format!("/collections/{name}"), request).await
    }

    /// Who would come and go if a collection was written so.
    pub async fn preview_collection(
        &self,
        name: &CollectionName,
        request: &CollectionRequest,
    ) -> Result<RosterChange, ClientError> {
        self.tell(&format!("/collections/{name}/preview"), request).await
    }

    /// Deletes a collection.
    pub async fn delete_collection(
        &self,
        name: &CollectionName,
    ) -> Result<Collection, ClientError> {
        self.ask(Method::DELETE, &format!("/collections/{name}")).await
    }

    /// Which devices a selector picks, and when their window opens.
    pub async fn preview(
        &self,
        devices: &str,
        window: &str,
        closed: &str,
    ) -> Result<PreviewAnswer, ClientError> {
        let query = [("devices", devices), ("window", window), ("closed", closed)];
        let request = self.request(Method::GET, "/rollouts/preview").query(&query);
        self.read(self.send(request).await?).await
    }

    /// Puts a device into quarantine.
    pub async fn quarantine(
        &self,
        device: &DeviceId,
        request: &QuarantineRequest,
    ) -> Result<QuarantineView, ClientError> {
        self.tell_by(Method::PUT, &format!("/devices/{device}/quarantine"), request).await
    }

    /// Revokes a device's key.
    pub async fn revoke(
        &self,
        device: &DeviceId,
        request: &QuarantineRequest,
    ) -> Result<QuarantineView, ClientError> {
        self.tell(&format!("/devices/{device}/revoke"), request).await
    }

    /// Revokes a distribution point's key.
    pub async fn revoke_edge(
        &self,
        edge: &EdgeId,
        request: &QuarantineRequest,
    ) -> Result<(), ClientError> {
        let path = format!("/edges/{edge}/revoke");
        self.send(self.request(Method::POST, &path).json(request)).await.map(drop)
    }

    /// Lets a device out of quarantine.
    pub async fn let_in(&self, device: &DeviceId) -> Result<QuarantineView, ClientError> {
        self.ask(Method::DELETE, &format!("/devices/{device}/quarantine")).await
    }

    /// The rules for anomalies that are in force.
    pub async fn anomaly_rules(&self) -> Result<AnomalyRules, ClientError> {
        self.ask(Method::GET, "/anomaly/rules").await
    }

    /// Makes a link that logs a browser in once.
    pub async fn login_link(&self) -> Result<LoginLink, ClientError> {
        self.ask(Method::POST, "/session/link").await
    }

    /// Makes an enrolment token.
    pub async fn create_token(&self, request: &TokenRequest) -> Result<NewToken, ClientError> {
        self.tell("/tokens", request).await
    }

    /// Every enrolment token, newest first, without its text.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, ClientError> {
        self.ask(Method::GET, "/tokens").await
    }

    /// Every device.
    pub async fn devices(&self) -> Result<Vec<Device>, ClientError> {
        self.ask(Method::GET, "/devices").await
    }

    /// One device with its history.
    pub async fn device(&self, device: &DeviceId) -> Result<DeviceDetail, ClientError> {
        self.ask(Method::GET, &format!("/devices/{device}")).await
    }

    /// The catalog.
    pub async fn releases(&self) -> Result<Vec<Release>, ClientError> {
        self.ask(Method::GET, "/releases").await
    }

    /// One release.
    pub async fn release(&self, release: &ReleaseId) -> Result<Release, ClientError> {
        self.ask(Method::GET, &format!("/releases/{release}")).await
    }

    /// The packs and deltas that make a release, and what came of those that could not be made.
    pub async fn artifacts(&self, release: &ReleaseId) -> Result<Vec<Artifact>, ClientError> {
        self.ask(Method::GET, &format!("/releases/{release}/artifacts")).await
    }

    /// Every distribution point, by site and name.
    pub async fn edges(&self) -> Result<Vec<Edge>, ClientError> {
        self.ask(Method::GET, "/edges").await
    }

    /// The manifest of a release.
    pub async fn manifest(&self, release: &ReleaseId) -> Result<Manifest, ClientError> {
        self.ask(Method::GET, &format!("/releases/{release}/manifest")).await
    }

    /// Approves a release: it may be rolled out.
    pub async fn approve(
        &self,
        release: &ReleaseId,
        request: &DecisionRequest,
    ) -> Result<Release, ClientError> {
        self.tell(&format!("/releases/{release}/approve"), request).await
    }

    /// Blocks a release: it may not be rolled out any more.
    pub async fn block(
        &self,
        release: &ReleaseId,
        request: &DecisionRequest,
    ) -> Result<Release, ClientError> {
        self.tell(&format!("/releases/{release}/block"), request).await
    }

    /// What a rollout would do, before anything moves.
    pub async fn plan(&self, spec: &RolloutSpec) -> Result<RolloutPlan, ClientError> {
        self.tell("/rollouts/plan", spec).await
    }

    /// What a rollout would do, and how it would probably go.
    pub async fn simulate(&self, spec: &RolloutSpec) -> Result<SimulatedPlan, ClientError> {
        self.tell("/rollouts/plan?simulate=true", spec).await
    }

    /// Starts a rollout.
    pub async fn start(&self, spec: &RolloutSpec) -> Result<RolloutStatus, ClientError> {
        self.tell("/rollouts", spec).await
    }

    /// Every rollout, newest first.
    pub async fn rollouts(&self) -> Result<Vec<RolloutSummary>, ClientError> {
        self.ask(Method::GET, "/rollouts").await
    }

    /// One rollout with every device of it.
    pub async fn rollout(&self, rollout: &RolloutId) -> Result<RolloutStatus, ClientError> {
        self.ask(Method::GET, &format!("/rollouts/{rollout}")).await
    }

    /// What was decided about a rollout, oldest first.
    pub async fn decisions(&self, rollout: &RolloutId) -> Result<Vec<Event>, ClientError> {
        self.ask(Method::GET, &format!("/rollouts/{rollout}/decisions")).await
    }

    /// Orders nothing more; what is under way ends.
    pub async fn pause(&self, rollout: &RolloutId) -> Result<RolloutStatus, ClientError> {
        self.ask(Method::POST, &format!("/rollouts/{rollout}/pause")).await
    }

    /// Goes on.
    pub async fn resume(&self, rollout: &RolloutId) -> Result<RolloutStatus, ClientError> {
        self.ask(Method::POST, &format!("/rollouts/{rollout}/resume")).await
    }

    /// Ends the rollout: what has not been activated is dropped, what is active stays.
    pub async fn stop(&self, rollout: &RolloutId) -> Result<RolloutStatus, ClientError> {
        self.ask(Method::POST, &format!("/rollouts/{rollout}/stop")).await
    }

    /// Puts every device of the rollout back.
    pub async fn roll_back(&self, rollout: &RolloutId) -> Result<RolloutStatus, ClientError> {
        self.ask(Method::POST, &format!("/rollouts/{rollout}/rollback")).await
    }

    /// Asks the users of a published rollout no more, or that of one device of it.
    pub async fn assign(
        &self,
        rollout: &RolloutId,
        request: &AssignRequest,
    ) -> Result<RolloutStatus, ClientError> {
        self.tell(&format!("/rollouts/{rollout}/assign"), request).await
    }
}
