//! What policies can ask about, as a Cedar schema. It is made of the table of permissions, so that
//! a new permission is known to the rules at once.

use std::fmt::Write as _;
use std::sync::LazyLock;

use cedar_policy::Schema;
use gofleet_core::account::{Permission, Role};

/// The types of what requests are about. Their attributes are those of
/// [`gofleet_core::account::Subject`].
const TYPES: &str = r"// Somebody with an account, or whoever holds the administrator's token.
entity Person { name: String };
// All there is. What concerns more than some devices or one release is done to it.
entity Fleet;
// A named set of devices.
entity Collection in [Fleet];
// Devices that something is to be done to; they are in each collection that holds all of them.
entity Devices in [Fleet, Collection] { count: Long };
entity Release in [Fleet] {
  id: String,
  package: String,
  version: String,
  author: String,         // who imported it
  is_signed: Bool,        // whether approvers have signed it
  is_past_support: Bool,  // whether its makers have ended its support
};
entity Rollout in [Fleet, Collection] {
  name: String,
  author: String,         // who started it, or would
  devices: Long,
  package: String,
  version: String,
  is_past_support: Bool,  // whether the support of one of its releases has ended
  is_published: Bool,     // whether users are asked
};
entity Account in [Fleet] { name: String };

type Circumstances = {
  now: datetime,
  via: String,             // how the person proved who they are: session, token, api_token
  is_encrypted: Bool,      // whether nobody on the way can read along
  is_local: Bool,          // whether the request came from the server's own machine
  is_audit_healthy: Bool,  // whether everything that was done stands in the audit log
  ticket: String,          // the change ticket that the person named, else empty
};
";

/// The schema as text, for people who write rules.
pub fn schema_text() -> String {
    let mut text = TYPES.to_owned();
    text.push_str("\n// Roles, as sets of actions.\n");
    for role in Role::ALL {
        let _ = writeln!(text, "action \"{role}\"; // {}", role.purpose());
    }
    for permission in Permission::ALL {
        let roles: Vec<String> =
            permission.roles().iter().map(|role| format!("\"{role}\"")).collect();
        let _ = write!(
            text,
            "\n// {}\naction \"{permission}\" in [{}] appliesTo {{\n  principal: Person, resource: \
             {}, context: Circumstances\n}};\n",
            permission.meaning(),
            roles.join(", "),
            permission.subject().as_str(),
        );
    }
    text
}

/// The schema.
pub(crate) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let (schema, _warnings) =
        Schema::from_cedarschema_str(&schema_text()).expect("the schema is made here");
    schema
});
