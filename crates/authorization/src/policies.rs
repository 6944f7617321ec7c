//! All policies of a server, ready to be asked.

use std::collections::HashMap;

use cedar_policy::{
    Authorizer, Decision, Entities, EntityUid, Policy, PolicyId, PolicySet, Request, SlotId,
    Template,
};
use gofleet_core::account::{
    ADMINISTRATOR, AccessRequest, Account, Grant, Permission, Refusal, Rule,
};
use gofleet_core::ids::{RuleName, without_case};

use crate::entities::{self, collection, fleet, person};
use crate::library::BUILT_IN;
use crate::rule::{self, InvalidRule};

/// What a role permits: its actions, on what lies in the fleet or in a collection.
const ROLE: &str =
    "permit (principal == ?principal, action in Action::\"ROLE\", resource in ?resource);";
/// What everybody with an account may do to their own.
const OWN: &str = "permit (principal, action == Action::\"own\", resource);";
/// Whoever may do something in a collection may look at the fleet.
const LOOK: &str =
    "permit (principal == ?principal, action == Action::\"read\", resource in ?resource);";
/// Whoever holds the administrator's token.
const ADMIN: &str = "permit (principal == ?principal, action, resource in ?resource);";

/// All policies of a server. Those of one account are kept together, so that what a decision costs
/// does not grow with the number of accounts.
#[derive(Default)]
pub struct Policies {
    by_account: HashMap<String, Sets>,
    rules: HashMap<PolicyId, Told>,
    broken: Vec<(RuleName, InvalidRule)>,
}

/// The policies for one account.
struct Sets {
    /// What its roles permit.
    roles: PolicySet,
    /// The same, and what rules forbid.
    all: PolicySet,
}

/// What a rule says when it refuses.
struct Told {
    rule: RuleName,
    message: String,
    standards: Vec<String>,
}

impl Policies {
    /// The policies by which these accounts and rules are decided, and the one that is built in. A
    /// disabled account is none.
    pub fn new(accounts: &[Account], rules: &[Rule]) -> Self {
        let mut policies = Self::default();
        let mut forbidding = Vec::new();
        let built_in = (BUILT_IN.rule_name(), BUILT_IN.text);
        let rules = rules.iter().map(|rule| (rule.name.clone(), rule.text.as_str()));
        let rules = rules.filter(|(name, _)| *name != built_in.0);
        for (name, text) in rules.chain([built_in.clone()]) {
            let policy = match rule::policy(&name, text) {
                Ok(policy) => policy,
                Err(error) => {
                    policies.broken.push((name, error));
                    continue;
                }
            };
            let of = |key| policy.annotation(key).unwrap_or_default();
            let (message, standards) = (of("message").to_owned(), rule::split(of("standard")));
            let told = Told { rule: name.clone(), message, standards };
            policies.rules.insert(rule::id(&name), told);
            forbidding.push(policy);
        }
        let everywhere = Grants::default().with(ADMIN, ADMINISTRATOR, fleet());
        let everything = everywhere.finish(&forbidding);
        policies.by_account.insert(ADMINISTRATOR.to_owned(), everything);
        for account in accounts.iter().filter(|account| !account.is_disabled) {
            let name = account.name.as_str();
            let grants = account.grants.iter().fold(Grants::default(), |all, grant| {
                let Grant { role, within } = grant;
                let whole = within.as_ref().map_or_else(fleet, collection);
                let all = all.with(&ROLE.replace("ROLE", role.as_str()), name, whole);
                if within.is_some() { all.with(LOOK, name, fleet()) } else { all }
            });
            policies.by_account.insert(account.name.key(), grants.finish(&forbidding));
        }
        policies
    }

    /// The rules that can't be read, and so refuse everything: a rule is checked when it is
    /// written, but what can be asked may be another thing since.
    pub fn broken(&self) -> &[(RuleName, InvalidRule)] {
        &self.broken
    }

    /// Whether a role permits this, whatever the rules say.
    pub fn permits(&self, request: &AccessRequest) -> bool {
        let sets = self.by_account.get(&without_case(&request.by));
        let asked = sets.zip(entities::request(request).ok());
        asked.is_some_and(|(sets, (asked, entities))| allows(&sets.roles, &asked, &entities))
    }

    /// Whether this may be done; why not, if not.
    pub fn decide(&self, request: &AccessRequest) -> Option<Refusal> {
        let Some(sets) = self.by_account.get(&without_case(&request.by)) else {
            return Some(Refusal::NoRole {});
        };
        let is_above = is_above_rules(request);
        let set = if is_above { &sets.roles } else { &sets.all };
        let Ok((asked, entities)) = entities::request(request) else {
            debug_assert!(false, "a request that does not fit the schema: {request:?}");
            return Some(Refusal::NoRole {});
        };
        let response = Authorizer::new().is_authorized(&asked, set, &entities);
        // What can't be evaluated might have forbidden it.
        if let Some(error) = response.diagnostics().errors().next() {
            let id = match error {
                cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
            };
            let error = error.to_string();
            let told = self.rules.get(id);
            return Some(told.map_or(Refusal::NoRole {}, |told| Refusal::Broken {
                rule: told.rule.clone(),
                error,
            }));
        }
        if response.decision() == Decision::Allow {
            let (rule, error) = self.broken.first().filter(|_| !is_above)?;
            return Some(Refusal::Broken { rule: rule.clone(), error: error.to_string() });
        }
        // Without the role it does not matter what the rules say.
        let mut rules: Vec<&Told> =
            response.diagnostics().reason().filter_map(|id| self.rules.get(id)).collect();
        rules.sort_by_key(|told| &told.rule);
        Some(match rules.first() {
            Some(told) if allows(&sets.roles, &asked, &entities) => Refusal::Rule {
                rule: told.rule.clone(),
                message: told.message.clone(),
                standards: told.standards.clone(),
            },
            _ => Refusal::NoRole {},
        })
    }
}

fn allows(set: &PolicySet, request: &Request, entities: &Entities) -> bool {
    Authorizer::new().is_authorized(request, set, entities).decision() == Decision::Allow
}

/// Rules must not keep a fleet from being stopped, nor themselves from being mended.
fn is_above_rules(request: &AccessRequest) -> bool {
    match request.permission {
        Permission::StopEverything => true,
        Permission::ChangeRules => request.by == ADMINISTRATOR,
        _ => false,
    }
}

/// What somebody is granted, as policies.
struct Grants {
    set: PolicySet,
    count: usize,
}

impl Default for Grants {
    fn default() -> Self {
        let mut set = PolicySet::new();
        let own = Policy::parse(Some(PolicyId::new("own")), OWN).expect("it is a policy");
        set.add(own).expect("it is the first");
        Self { set, count: 0 }
    }
}

impl Grants {
    /// The same with a template that is filled in.
    fn with(mut self, template: &str, name: &str, whole: EntityUid) -> Self {
        let (template_id, id) = (
            PolicyId::new(format!("template/{}", self.count)),
            PolicyId::new(format!("grant/{}", self.count)),
        );
        let template =
            Template::parse(Some(template_id.clone()), template).expect("it is a template");
        let slots =
            HashMap::from([(SlotId::principal(), person(name)), (SlotId::resource(), whole)]);
        self.set.add_template(template).expect("its number is its own");
        self.set.link(template_id, id, slots).expect("both slots are filled");
        self.count += 1;
        self
    }

    fn finish(self, rules: &[Policy]) -> Sets {
        let mut all = self.set.clone();
        for rule in rules {
            all.add(rule.clone()).expect("rules have names of their own");
        }
        Sets { roles: self.set, all }
    }
}
