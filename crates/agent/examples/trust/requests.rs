//! Machines that enrol, and requests by whoever may ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gofleet_api::trust::Credential;
use gofleet_api::types::{
    AccountRequest, ApiTokenRequest, EnrolRequest, PasswordRequest, RuleRequest, TokenLoginRequest,
    TokenRequest,
};
use gofleet_api::{Client, ClientError, Key, trust};
use gofleet_core::digest::Digest;
use gofleet_core::facts::Facts;
use gofleet_core::ids::AccountName;
use gofleet_core::release::Platform;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::Outcome;

/// Machines that enrol at the same time: more than the processors, as in a fleet that is set up.
const AT_ONCE: usize = 16;
/// Requests of each kind; the medians count.
const REQUESTS: usize = 2000;

/// People with accounts.
const ACCOUNTS: usize = 50;
/// Rules in force.
const RULES: usize = 10;

/// A machine that has made its key and been given its token.
struct Machine {
    key: Key,
    request: EnrolRequest,
}

fn facts(hostname: String) -> Facts {
    Facts {
        hostname,
        platform: Platform::new("windows", "amd64").unwrap(),
        os_version: "Windows 11 Pro 10.0.26100".to_owned(),
        processors: 8,
        free_bytes: 100_000_000_000,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        active: None,
        packages: Default::default(),
        found: Vec::new(),
        zone: Some("Europe/Berlin".to_owned()),
        labels: [("site".to_owned(), "berlin".to_owned())].into(),
        collections: Default::default(),
    }
}

/// Does `work` for each number below `count`, some at once; tells how many seconds that took.
async fn all<T: Send + 'static, F: Future<Output = Outcome<T>> + Send + 'static>(
    count: usize,
    work: impl Fn(usize) -> F + Send + Sync + Clone + 'static,
) -> Outcome<(Vec<T>, f64)> {
    let (begun, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (next, work) = (Arc::clone(&next), work.clone());
        workers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(done);
                }
                done.push(work(number).await.map_err(|error| error.to_string())?);
            }
        });
    }
    let mut done = Vec::new();
    for worker in workers.join_all().await {
        done.extend(worker.map_err(|error: String| error)?);
    }
    Ok((done, begun.elapsed().as_secs_f64()))
}

async fn machine(administrator: &Client, number: usize) -> Outcome<Machine> {
    let token = administrator.create_token(&TokenRequest::default()).await?.token;
    let key = Key::generate()?;
    let request = key.request()?;
    let facts = facts(format!("machine-{number}"));
    Ok(Machine { key, request: EnrolRequest { token, facts, request } })
}

/// Enrols so many machines, each over a connection of its own. Their keys, their requests for a
/// certificate and their tokens are made before.
pub async fn enrol(server: &str, token: &str, count: usize) -> Outcome<Value> {
    let administrator = Client::with_token(server, token)?;
    let (machines, _) = all(count, move |number| {
        let administrator = administrator.clone();
        async move { machine(&administrator, number).await }
    })
    .await?;
    let (machines, server) = (Arc::new(machines), Arc::<str>::from(server));
    let (_, seconds) = all(count, move |number| {
        let (machines, server) = (Arc::clone(&machines), Arc::clone(&server));
        async move {
            let Machine { request, .. } = &machines[number];
            let client = Client::public(&server, trust::authority_in(&request.token))?;
            Ok(client.enrol(request).await?)
        }
    })
    .await?;
    Ok(json!({ "per_second": count as f64 / seconds }))
}

/// Who asks, and what.
struct Caller {
    name: &'static str,
    client: Client,
    asks: Asks,
}

#[derive(Clone, Copy)]
enum Asks {
    /// What anybody may ask: whether the server is up.
    Health,
    /// What each of those who are known may ask, and costs least to answer: for an artifact that is
    /// not there.
    Artifact,
    /// What the policies are asked about, and costs least beside that: who one is.
    Myself,
}

impl Caller {
    async fn ask(&self) -> Outcome {
        match self.asks {
            Asks::Health => self.client.health().await.map(drop).map_err(Into::into),
            Asks::Myself => self.client.who_am_i().await.map(drop).map_err(Into::into),
            Asks::Artifact => {
                let request = self.client.artifact(&Digest::of(b"no such artifact"));
                match self.client.send(request).await {
                    Err(ClientError::Problem(problem)) if problem.status == 404 => Ok(()),
                    Err(error) => Err(error.into()),
                    Ok(_) => Err("there is such an artifact".into()),
                }
            }
        }
    }
}

/// Somebody with an account among others and a token of their own, under rules that are asked at
/// each request.
async fn person(server: &str, administrator: &Client) -> Outcome<Client> {
    for number in 0..ACCOUNTS {
        let request = AccountRequest {
            name: format!("person-{number}").parse()?,
            note: String::new(),
            grants: vec!["operator".parse()?, "auditor".parse()?],
        };
        administrator.add_account(&request).await?;
    }
    for number in 0..RULES {
        let text = format!(
            "@message(\"no\") forbid (principal, action, resource) \
             when {{ context.ticket like \"NO-{number}-*\" && principal.name != \"ann\" }};"
        );
        administrator.set_rule(&format!("rule-{number}").parse()?, &RuleRequest { text }).await?;
    }
    let name: AccountName = "person-0".parse()?;
    let first = administrator.reset_password(&name).await?.password;
    let public = Client::public(server, administrator.authority().copied())?;
    let login = TokenLoginRequest {
        account: name,
        password: first.clone(),
        token: ApiTokenRequest::default(),
    };
    let person = Client::with_token(server, &public.log_in(&login).await?.secret)?;
    let new = "a sentence for a measurement".to_owned();
    person.choose_password(&PasswordRequest { old: first, new }).await?;
    Ok(person)
}

async fn callers(server: &str, token: &str) -> Outcome<Vec<Caller>> {
    let authority = trust::authority_in(token);
    let public = Client::public(server, authority)?;
    let administrator = Client::with_token(server, token)?;
    let Machine { key, request } = machine(&administrator, 0).await?;
    let certificate = public.enrol(&request).await?.issued.certificate;
    let credential = Credential { certificate: &certificate, key: &key.to_pem() };
    // Agents name the run of their process, by which copies of one machine are told apart.
    let device = Client::with_key(server, authority, credential)?.of_run("0123456789abcdef");
    let person = person(server, &administrator).await?;
    Ok(vec![
        Caller { name: "nobody", client: public, asks: Asks::Health },
        Caller { name: "a device by its certificate", client: device, asks: Asks::Artifact },
        Caller { name: "an administrator by token", client: administrator, asks: Asks::Artifact },
        Caller { name: "a person by API token, by policies", client: person, asks: Asks::Myself },
    ])
}

/// What a request takes by each of the callers in turn, each over one connection: the medians.
pub async fn measure(server: &str, token: &str) -> Outcome<Value> {
    let callers = callers(server, token).await?;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); callers.len()];
    for round in 0..REQUESTS + 10 {
        for (caller, times) in callers.iter().zip(&mut times) {
            let begun = Instant::now();
            caller.ask().await?;
            // The first ones open the connections.
            if round >= 10 {
                times.push(begun.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }
    let medians = times.into_iter().map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    let rows = callers.iter().zip(medians);
    Ok(rows.map(|(caller, ms)| json!({ "caller": caller.name, "ms": ms })).collect())
}
