//! The rules of this server: written, deleted, tried on what was asked before.

use gofleet_api::{ProblemCode, RuleDetail, RuleTrial};
use gofleet_authorization::{BUILT_IN, Policies, check_rule, message_of, standards_of};
use gofleet_core::account::{AccessDecision, Permission, Rule, Subject};
use gofleet_core::audit::By;
use gofleet_core::ids::RuleName;
use gofleet_core::time::Timestamp;

use crate::authorization::{self, CallingPerson};
use crate::failure::{Answer, Failure};
use crate::state::AppState;

/// So many kept requests are looked at; storage keeps no more.
const LOOKED_AT: u32 = 10_000;
/// So many of those that would end otherwise are told.
const TOLD: usize = 200;

/// Every rule, with what came of it.
///
/// # Errors
///
/// [`Failure`] if the database fails.
pub async fn list(state: &AppState) -> Answer<Vec<RuleDetail>> {
    let decisions = state.storage().access_decisions(Timestamp::from_millis(0), LOOKED_AT).await?;
    let built_in = Rule {
        name: BUILT_IN.rule_name(),
        text: BUILT_IN.text.to_owned(),
        by: By::server().name,
        changed_at: Timestamp::from_millis(0),
    };
    let rules = [built_in].into_iter().chain(state.storage().rules().await?);
    Ok(rules.map(|rule| detail(rule, &decisions)).collect())
}

/// One rule.
///
/// # Errors
///
/// [`Failure`] if there is none of this name.
pub async fn one(state: &AppState, name: &RuleName) -> Answer<RuleDetail> {
    let found = list(state).await?.into_iter().find(|it| it.rule.name == *name);
    found.ok_or_else(|| Failure::not_found("rule", name))
}

fn detail(rule: Rule, decisions: &[AccessDecision]) -> RuleDetail {
    let by_it = |it: &&AccessDecision| {
        it.refusal.as_ref().and_then(|refusal| refusal.rule()) == Some(&rule.name)
    };
    let refused = decisions.iter().filter(by_it).count() as u64;
    RuleDetail {
        is_built_in: rule.name == BUILT_IN.rule_name(),
        message: message_of(&rule),
        standards: standards_of(&rule),
        refused,
        rule,
    }
}

/// Writes a rule; it is in force from the next request on.
///
/// # Errors
///
/// [`Failure`] if the caller may not, or the text is no rule.
pub async fn set(
    state: &AppState,
    caller: &CallingPerson,
    name: RuleName,
    text: String,
) -> Answer<RuleDetail> {
    let by = caller.may(state, Permission::ChangeRules, Subject::Fleet {}).await?;
    let rule = written(state, &by, name, text)?;
    state.storage().set_rule(&by, &rule, state.now()).await?;
    authorization::reload(state).await?;
    one(state, &rule.name).await
}

/// Deletes a rule; gives the one that there was.
///
/// # Errors
///
/// [`Failure`] if the caller may not, or there is none of this name.
pub async fn delete(state: &AppState, caller: &CallingPerson, name: &RuleName) -> Answer<Rule> {
    let by = caller.may(state, Permission::ChangeRules, Subject::Fleet {}).await?;
    let rule = state.storage().delete_rule(&by, name, state.now()).await?;
    authorization::reload(state).await?;
    Ok(rule)
}

/// What would have come of the kept requests if this rule had been in force beside the others, by
/// the roles that people have today. Nothing is changed.
///
/// # Errors
///
/// [`Failure`] if the text is no rule.
pub async fn try_out(state: &AppState, by: &By, name: RuleName, text: String) -> Answer<RuleTrial> {
    let rule = written(state, by, name, text)?;
    let storage = state.storage();
    let decisions = storage.access_decisions(Timestamp::from_millis(0), LOOKED_AT).await?;
    let (accounts, mut rules) = (storage.accounts().await?, storage.rules().await?);
    rules.retain(|other| other.name != rule.name);
    let name = rule.name.clone();
    rules.push(rule);
    let work = move || compared(name, &Policies::new(&accounts, &rules), decisions);
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::internal("trying a rule", &error))
}

fn compared(rule: RuleName, policies: &Policies, decisions: Vec<AccessDecision>) -> RuleTrial {
    let looked_at = decisions.len() as u64;
    let since = decisions.last().map(|oldest| oldest.request.circumstances.at);
    let mut trial =
        RuleTrial { rule, looked_at, since, newly_refused: Vec::new(), newly_allowed: Vec::new() };
    for AccessDecision { request, refusal } in decisions {
        match (refusal, policies.decide(&request)) {
            (None, Some(refusal)) if trial.newly_refused.len() < TOLD => {
                trial.newly_refused.push(AccessDecision { request, refusal: Some(refusal) });
            }
            (Some(refusal), None) if trial.newly_allowed.len() < TOLD => {
                trial.newly_allowed.push(AccessDecision { request, refusal: Some(refusal) });
            }
            _ => {}
        }
    }
    trial
}

fn written(state: &AppState, by: &By, name: RuleName, text: String) -> Answer<Rule> {
    if name == BUILT_IN.rule_name() {
        let detail = format!("the rule {name} is built in, and stays as it is");
        return Err(Failure::new(ProblemCode::Conflict, detail));
    }
    check_rule(&name, &text).map_err(|error| {
        Failure::new(ProblemCode::InvalidRequest, error.to_string()).with_hint(
            "`gofleet rule example` shows some that work, `gofleet rule schema` what can be asked",
        )
    })?;
    Ok(Rule { name, text, by: by.name.clone(), changed_at: state.now() })
}
