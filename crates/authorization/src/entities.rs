//! A request as Cedar wants it.

use std::collections::{HashMap, HashSet};
use std::error::Error;

use cedar_policy::{Context, Entities, Entity, EntityId, EntityUid, Request, RestrictedExpression};
use gofleet_core::account::{
    AccessRequest, Circumstances, ReleaseSubject, RolloutSubject, Subject,
};
use gofleet_core::ids::{CollectionName, without_case};
use gofleet_core::time::Timestamp;

use crate::schema::SCHEMA;

type Attributes = HashMap<String, RestrictedExpression>;

/// The last second of the year 9999, after which dates are not written in four digits.
const LAST_SECOND: i64 = 253_402_300_799;

/// Names something of a type of the schema.
pub fn uid(kind: &'static str, id: &str) -> EntityUid {
    let kind = kind.parse().expect("types of the schema have good names");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

/// The whole fleet.
pub fn fleet() -> EntityUid {
    uid("Fleet", "fleet")
}

/// A collection; case does not count in its name.
pub fn collection(name: &CollectionName) -> EntityUid {
    uid("Collection", &name.key())
}

/// A person; case does not count in the name.
pub fn person(name: &str) -> EntityUid {
    uid("Person", &without_case(name))
}

/// What can be permitted, or a role as a set of that.
pub fn action(name: &str) -> EntityUid {
    uid("Action", name)
}

/// The request, and what it is about.
///
/// # Errors
///
/// What Cedar says if it does not fit the schema: a mistake of ours.
pub fn request(asked: &AccessRequest) -> Result<(Request, Entities), Box<dyn Error + Send + Sync>> {
    let AccessRequest { by, permission, subject, circumstances } = asked;
    let (principal, resource) = (person(by), resource_of(subject));
    let name = text(&without_case(by));
    let mut all = vec![
        Entity::new_no_attrs(fleet(), HashSet::new()),
        Entity::new(principal.clone(), attributes([("name", name)]), HashSet::new())?,
    ];
    for name in within(subject) {
        all.push(Entity::new_no_attrs(collection(name), HashSet::from([fleet()])));
    }
    if resource != fleet() {
        let parents = within(subject).iter().map(collection).chain([fleet()]).collect();
        all.push(Entity::new(resource.clone(), attributes_of(subject), parents)?);
    }
    let context = context(circumstances)?;
    let action = action(permission.as_str());
    let request = Request::new(principal, action, resource, context, Some(&SCHEMA))?;
    Ok((request, Entities::from_entities(all, Some(&SCHEMA))?))
}

fn resource_of(subject: &Subject) -> EntityUid {
    let id = match subject {
        Subject::Fleet {} => return fleet(),
        Subject::Devices { .. } => "devices",
        Subject::Release(release) => release.id.as_str(),
        Subject::Rollout(rollout) => rollout.name.as_str(),
        Subject::Account { name } => name.as_str(),
    };
    uid(subject.kind().as_str(), id)
}

fn within(subject: &Subject) -> &[CollectionName] {
    match subject {
        Subject::Devices { within, .. } | Subject::Rollout(RolloutSubject { within, .. }) => within,
        Subject::Fleet {} | Subject::Release(_) | Subject::Account { .. } => &[],
    }
}

fn attributes_of(subject: &Subject) -> Attributes {
    match subject {
        Subject::Fleet {} => Attributes::new(),
        Subject::Devices { count, .. } => attributes([("count", long(*count))]),
        Subject::Account { name } => attributes([("name", text(&without_case(name)))]),
        Subject::Release(release) => {
            let ReleaseSubject { id, package, version, author, is_signed, is_past_support } =
                release;
            attributes([
                ("id", text(id)),
                ("package", text(package)),
                ("version", text(version)),
                ("author", text(&without_case(author))),
                ("is_signed", flag(*is_signed)),
                ("is_past_support", flag(*is_past_support)),
            ])
        }
        Subject::Rollout(rollout) => {
            let RolloutSubject { name, author, devices, within: _, package, version, .. } = rollout;
            attributes([
                ("name", text(name)),
                ("author", text(&without_case(author))),
                ("devices", long(*devices)),
                ("package", text(package)),
                ("version", text(version)),
                ("is_past_support", flag(rollout.is_past_support)),
                ("is_published", flag(rollout.is_published)),
            ])
        }
    }
}

fn context(circumstances: &Circumstances) -> Result<Context, Box<dyn Error + Send + Sync>> {
    let Circumstances { at, via, is_encrypted, is_local, is_audit_healthy, ticket } = circumstances;
    let now = RestrictedExpression::new_datetime(date_and_time(*at));
    let pairs = attributes([
        ("now", now),
        ("via", text(via)),
        ("is_encrypted", flag(*is_encrypted)),
        ("is_local", flag(*is_local)),
        ("is_audit_healthy", flag(*is_audit_healthy)),
        ("ticket", text(ticket)),
    ]);
    Ok(Context::from_pairs(pairs)?)
}

/// To the second, as Cedar reads it.
fn date_and_time(at: Timestamp) -> String {
    let seconds = at.as_millis().div_euclid(1000).clamp(0, LAST_SECOND);
    Timestamp::from_millis(seconds * 1000).to_string()
}

fn attributes<const N: usize>(pairs: [(&str, RestrictedExpression); N]) -> Attributes {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn flag(value: bool) -> RestrictedExpression {
    RestrictedExpression::new_bool(value)
}

fn long(value: u64) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(value).unwrap_or(i64::MAX))
}
