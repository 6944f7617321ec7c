//! The planner: which way to upgrade a fleet, and what a rollout would do and how it would probably
//! go before it is started. Everything is in the address, so that a plan can be sent to somebody.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use gofleet_api::ProblemCode;
use gofleet_core::advice::{Advice, Assumptions, Source, Unit, Way, advise, grouped};
use gofleet_core::rollout::{RolloutSpec, parse_rings};
use serde_json::{Value, json};

use super::forecast_view::ForecastView;
use super::overview::example_version;
use super::pieces::{Bar, Section, Shell, quoted};
use super::session::Visitor;
use super::{Reply, format, refused, render};
use crate::failure::{Answer, Failure};
use crate::state::AppState;
use crate::{commands, forecast, views};

/// What was filled in, by the names of the fields.
pub(super) type Fields = BTreeMap<String, String>;

/// `planner.html`
#[derive(Template)]
#[template(path = "planner.html")]
pub(super) struct PlannerPage {
    pub(super) shell: Shell,
    fields: Filled,
    /// Which devices, and when.
    preview: String,
    is_preview_wrong: bool,
    plan: Option<ForecastView>,
    advice: AdviceView,
}

/// The fields of the form about the rollout, with what stands in them.
struct Filled {
    version: String,
    name: String,
    devices: String,
    rings: String,
    window: String,
    closed: String,
    max_in_flight: String,
    soak: String,
    max_failures: String,
    max_failure_rate: String,
    silence_after: String,
    on_failure: Vec<Choice>,
    late: Vec<Choice>,
    rehearse: Vec<Choice>,
}

struct Choice {
    value: &'static str,
    label: &'static str,
    is_selected: bool,
}

/// The comparison of the ways.
struct AdviceView {
    nodes: String,
    heading: String,
    reason: String,
    rows: Vec<WayRow>,
    break_evens: String,
    figures: Vec<FigureField>,
    has_edits: bool,
}

struct WayRow {
    way: String,
    hours: String,
    failures: String,
    dollars: String,
    bar: Bar,
    is_advised: bool,
}

/// An assumption that can be edited.
struct FigureField {
    name: &'static str,
    meaning: &'static str,
    unit: &'static str,
    /// What counts while nothing is written.
    standing: String,
    source: String,
    value: String,
}

fn given<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map_or("", |value| value.trim())
}

impl Filled {
    fn new(fields: &Fields, version: &str) -> Self {
        let or = |name: &str, default: &str| match given(fields, name) {
            "" => default.to_owned(),
            value => value.to_owned(),
        };
        let choice = |name: &str, value: &'static str, label: &'static str, is_usual: bool| {
            let given = given(fields, name);
            let is_selected = given == value || given.is_empty() && is_usual;
            Choice { value, label, is_selected }
        };
        Self {
            version: or("version", version),
            name: or("name", ""),
            devices: or("devices", ""),
            rings: or("rings", "test:1,pilot:10,production:rest"),
            window: or("window", ""),
            closed: or("closed", ""),
            max_in_flight: or("max_in_flight", "0"),
            soak: or("soak", "5m"),
            max_failures: or("max_failures", "0"),
            max_failure_rate: or("max_failure_rate", ""),
            silence_after: or("silence_after", "1h"),
            on_failure: vec![
                choice("on_failure", "pause", "pause", true),
                choice("on_failure", "roll_back_ring", "put the ring back and pause", false),
                choice("on_failure", "roll_back_all", "put every device back", false),
            ],
            late: vec![
                choice("late", "never", "are left out", true),
                choice("late", "next_ring", "join the next ring that has not started", false),
                choice("late", "same_ring", "join their ring", false),
            ],
            rehearse: vec![
                choice("rehearse", "no", "upgrades once", true),
                choice("rehearse", "yes", "upgrades, goes back, upgrades again", false),
            ],
        }
    }

    /// The rollout that is asked for. What is not in the form stays as the API has it.
    fn spec(&self) -> Answer<RolloutSpec> {
        let version = self.version.strip_prefix("go").unwrap_or(&self.version);
        let mut rings = parse_rings(&self.rings).map_err(|error| wrong(error.to_string()))?;
        if let Some(first) = rings.first_mut() {
            first.rehearse = chosen(&self.rehearse) == "yes";
        }
        let window = forecast::window(&self.window, &self.closed)?;
        let mut gate = json!({ "max_failures": number("failures", &self.max_failures)? });
        if !self.max_failure_rate.is_empty() {
            gate["max_failure_rate"] = json!(self.max_failure_rate);
        }
        let mut spec = json!({
            "name": if self.name.is_empty() { format!("go {version}") } else { self.name.clone() },
            "version": version,
            "devices": self.devices,
            "rings": rings,
            "max_in_flight": number("devices at once", &self.max_in_flight)?,
            "soak": self.soak,
            "silence_after": self.silence_after,
            "gate": gate,
            "on_failure": chosen(&self.on_failure),
            "late": chosen(&self.late),
        });
        if let Some(window) = window {
            spec["window"] = json!(window);
        }
        serde_json::from_value(spec).map_err(|error| wrong(error.to_string()))
    }
}

/// What is chosen; the first, if nothing that there is.
fn chosen(choices: &[Choice]) -> &'static str {
    let chosen = choices.iter().find(|choice| choice.is_selected).or(choices.first());
    chosen.map_or("", |choice| choice.value)
}

fn number(what: &str, text: &str) -> Answer<Value> {
    let number: Result<u32, _> = text.parse();
    number
        .map(|number| json!(number))
        .map_err(|_| wrong(format!("not a number of {what}: `{text}` (expected one like `10`)")))
}

fn wrong(detail: String) -> Failure {
    Failure::new(ProblemCode::InvalidRollout, detail)
}

impl AdviceView {
    fn new(advice: &Advice, assumptions: &Assumptions, fields: &Fields) -> Self {
        let most = advice.costs.iter().map(|cost| cost.dollars).fold(0.0, f64::max);
        let row = |way: Way| {
            let cost = advice.costs.iter().find(|cost| cost.way == way);
            let number = |value: Option<f64>| value.map(grouped).unwrap_or_default();
            let dollars = cost.map_or(0.0, |cost| cost.dollars);
            let part = |tone: &str, size: f64| {
                (String::new(), String::new(), tone.to_owned(), size.round() as u64)
            };
            WayRow {
                way: way.to_string(),
                hours: number(cost.map(|cost| cost.hours)),
                failures: number(cost.map(|cost| cost.failures)),
                dollars: number(cost.map(|cost| cost.dollars)),
                bar: Bar::new(vec![part("v-1", dollars), part("v-none", most - dollars)]),
                is_advised: way == advice.advised,
            }
        };
        let from = |what: &str, nodes: Option<u64>, than: &str| match nodes {
            Some(nodes) => format!("{what} costs less than {than} from {nodes} nodes on"),
            None => format!("{what} never costs less than {than}"),
        };
        let nodes = format::counted(advice.nodes, "node");
        Self {
            nodes: given(fields, "nodes").to_owned(),
            heading: format!("{nodes}, {} changes a year", grouped(advice.changes_per_year)),
            reason: super::pieces::sentences(&[&advice.reason]),
            rows: Way::ALL.map(row).into(),
            break_evens: format!(
                "{}; {}.",
                from("A script", advice.script_pays_from, "by hand"),
                from("managed", advice.managed_pays_from, "a script")
            ),
            figures: figures(assumptions, fields),
            has_edits: assumptions.figures().any(|(_, it)| it.source == Source::Edited),
        }
    }
}

fn figures(assumptions: &Assumptions, fields: &Fields) -> Vec<FigureField> {
    let field =
        |(key, figure): (&'static gofleet_core::advice::Key, gofleet_core::advice::Figure)| {
            FigureField {
                name: key.name,
                meaning: key.meaning,
                unit: match key.unit {
                    Unit::PerYear => "times a year",
                    Unit::Minutes => "minutes",
                    Unit::Dollars => "dollars",
                    Unit::Share => "share",
                    Unit::Nodes => "nodes",
                },
                standing: key.unit.show(figure.value),
                source: figure.source.to_string(),
                value: given(fields, key.name).to_owned(),
            }
        };
    assumptions.figures().map(field).collect()
}

async fn advice(state: &AppState, fields: &Fields) -> Answer<(AdviceView, Option<Failure>)> {
    let mut assumptions = Assumptions::default();
    let mut trouble = None;
    for (key, _) in Assumptions::default().figures() {
        let value = given(fields, key.name);
        if !value.is_empty()
            && let Err(error) = assumptions.set(key.name, value)
        {
            trouble = Some(Failure::new(ProblemCode::InvalidRequest, error.to_string()));
        }
    }
    assumptions.measure(&views::measured(state).await?);
    let devices = views::overview(state).await?.devices;
    let asked = given(fields, "nodes");
    let nodes = match asked.parse::<u64>() {
        Ok(nodes) if nodes > 0 => nodes,
        Ok(_) | Err(_) => {
            if !asked.is_empty() {
                let detail = format!("not a number of nodes: `{asked}`");
                trouble = Some(Failure::new(ProblemCode::InvalidRequest, detail));
            }
            // For an empty fleet, that of the published figures.
            if devices > 0 { devices } else { 100 }
        }
    };
    let advice = advise(nodes, &assumptions);
    Ok((AdviceView::new(&advice, &assumptions, fields), trouble))
}

/// `GET /planner`
pub(super) async fn page(
    State(state): State<AppState>,
    _: Visitor,
    Query(fields): Query<Fields>,
) -> Reply {
    let (page, trouble) = planner(&state, &fields).await?;
    shown(page, trouble)
}

/// `POST /planner/start`
pub(super) async fn start(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Form(mut fields): Form<Fields>,
) -> Reply {
    let newest = example_version(&views::releases(&state).await?);
    let started = match Filled::new(&fields, &newest).spec() {
        Ok(spec) => commands::start(&state, &spec, &caller).await,
        Err(failure) => Err(failure),
    };
    match started {
        Ok(status) => Ok(Redirect::to(&format!("/rollouts/{}", status.summary.id)).into_response()),
        Err(failure) => {
            fields.remove("do");
            let (page, _) = planner(&state, &fields).await?;
            shown(page, Some(failure))
        }
    }
}

fn shown(mut page: PlannerPage, trouble: Option<Failure>) -> Reply {
    let Some(failure) = trouble else { return render(&page) };
    let status = refused(&mut page.shell, &failure);
    let answer: Response = render(&page)?;
    Ok((status, answer).into_response())
}

async fn planner(state: &AppState, fields: &Fields) -> Answer<(PlannerPage, Option<Failure>)> {
    let newest = example_version(&views::releases(state).await?);
    let filled = Filled::new(fields, &newest);
    let (advice, mut trouble) = advice(state, fields).await?;
    let (preview, is_preview_wrong) = match preview(state, &filled).await {
        Ok(text) => (text, false),
        Err(failure) => (quoted(&failure.problem().detail), true),
    };
    let mut plan = None;
    if matches!(given(fields, "do"), "plan" | "forecast") {
        match simulated(state, &filled, given(fields, "do") == "forecast").await {
            Ok(view) => plan = Some(view),
            Err(failure) => trouble = Some(failure),
        }
    }
    let mut shell = Shell::new("Planner", Some(Section::Planner));
    shell.is_still = true;
    let page = PlannerPage { shell, fields: filled, preview, is_preview_wrong, plan, advice };
    Ok((page, trouble))
}

async fn preview(state: &AppState, filled: &Filled) -> Answer<String> {
    let window = forecast::window(&filled.window, &filled.closed)?;
    Ok(forecast::look(state, &filled.devices, window.as_ref()).await?.to_string())
}

async fn simulated(state: &AppState, filled: &Filled, is_played: bool) -> Answer<ForecastView> {
    let spec = filled.spec()?;
    if !is_played {
        return Ok(ForecastView::new(&commands::plan(state, &spec).await?, None));
    }
    let simulated = forecast::simulate(state, &spec).await?;
    Ok(ForecastView::new(&simulated.plan, simulated.forecast.as_ref()))
}
