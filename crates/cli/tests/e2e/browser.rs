//! The console in a real headless Chromium, against a real server whose devices are played over
//! the agents' HTTP API (see `scene.rs`).
//!
//! With `GOFLEET_SCREENSHOTS=DIR` the pictures of the documentation are made as well.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod chromium;
mod scene;

use std::path::PathBuf;

use chromium::{Chromium, Scheme};
use gofleet_core::order::Step;
use gofleet_core::rollout::RolloutState;
use scene::Scene;
use serde_json::{Value, json};

/// A fleet like one that a person would have.
const HOSTS: [&str; 8] = [
    "ber-build-01",
    "ber-build-02",
    "muc-laptop-ada",
    "muc-laptop-kim",
    "sea-ci-01",
    "sea-ci-02",
    "szx-desk-14",
    "szx-lab-03",
];

fn scene() -> Scene {
    let mut scene = Scene::new();
    for host in HOSTS {
        scene.enrol(host, ("site", &host[..3]));
    }
    scene
}

/// Three rings that are picked by site, so that a test knows who is where.
fn rings() -> Value {
    json!([
        {"name": "test", "select": "label.site = \"ber\""},
        {"name": "pilot", "select": "label.site = \"muc\""},
        {"name": "production", "rest": true},
    ])
}

/// Whether the cell of a device shows a step.
fn shows(scene: &Scene, host: &str, step: Step) -> String {
    format!("document.getElementById('cell-{}').classList.contains('s-{step}')", scene.id(host))
}

#[track_caller]
fn assert_no_trouble(browser: &mut Chromium) {
    assert_eq!(browser.take_trouble(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: cargo xtask test --suite browser"]
fn signing_in_needs_the_token_and_leads_to_where_one_wanted_to_go() {
    let scene = scene();
    let mut browser = Chromium::start();
    scene.open(&mut browser, "/devices?q=lab");
    assert_eq!(browser.text("location.pathname"), "/login");

    browser.press("Tab");
    browser.write("not-the-token");
    browser.press("Enter");
    browser.wait("the refusal", "!!document.querySelector('[role=alert]')");
    // Chromium logs the status 401 of a page as an error.
    browser.take_trouble();

    browser.press("Tab");
    browser.write(&scene.fleet.admin_token());
    browser.press("Enter");
    browser.wait("the devices", "location.pathname === '/devices'");
    let rows = "[...document.querySelectorAll('tbody .lead')].map(row => row.innerText).join()";
    browser.wait("the rows", "!!document.querySelector('tbody tr')");
    assert_eq!(browser.text(rows), "szx-lab-03");
    scene.open(&mut browser, "/devices?sort=-hostname");
    assert_eq!(browser.text(rows).split(',').next(), Some("szx-lab-03"));

    browser.click(".rail-foot button");
    browser.wait("the way out", "location.pathname === '/login'");
    scene.open(&mut browser, "/");
    assert_eq!(browser.text("location.pathname"), "/login");
    assert_no_trouble(&mut browser);
}

#[test]
#[ignore = "needs Chromium: cargo xtask test --suite browser"]
fn a_rollout_is_seen_live_and_steered_by_keyboard() {
    let mut scene = scene();
    let mut browser = Chromium::start();
    scene.sign_in(&mut browser);
    browser.wait("the event stream", "pulse.dataset.state === 'live'");
    browser.evaluate("window.isSamePage = true");

    let rollout = scene.start("go-1.27.3-everywhere", rings());
    browser.wait("the rollout on the overview", "!!document.querySelector('.card')");
    assert_eq!(browser.evaluate("window.isSamePage"), json!(true), "without a reload");

    scene.open(&mut browser, &format!("/rollouts/{}", rollout.summary.id));
    browser.wait("the event stream", "pulse.dataset.state === 'live'");
    browser.evaluate("window.isSamePage = true");
    steps_are_seen_live(&mut scene, &mut browser);
    pause_and_resume_by_keyboard(&scene, &mut browser);
    cells_are_walked_by_arrows(&scene, &mut browser);
    stop_is_asked_about(&scene, &mut browser);
    assert_eq!(browser.evaluate("window.isSamePage"), json!(true), "without a reload");
    assert_no_trouble(&mut browser);

    browser.evaluate("fetch('/api/v1/session', {method: 'DELETE'}).then(answer => answer.status)");
    scene.enrol("late-comer", ("site", "ber"));
    browser.wait("word of the session's end", "document.getElementById('signed-out').open");
    assert!(
        browser.text("document.querySelector('[data-sign-in]').href").contains("next=%2Frollouts")
    );
}

fn steps_are_seen_live(scene: &mut Scene, browser: &mut Chromium) {
    let cell = format!("document.getElementById('cell-{}')", scene.id(HOSTS[0]));
    browser.evaluate(&format!("{cell}.focus()"));
    for step in [Step::Fetching, Step::Soaking, Step::Accepted] {
        scene.step(HOSTS[0], step);
        browser.wait(step.as_str(), &shows(scene, HOSTS[0], step));
        let is_focused = format!("document.activeElement === {cell}");
        assert_eq!(browser.evaluate(&is_focused), json!(true), "the focus stays");
    }
    browser.wait(
        "the announcement",
        "document.getElementById('announcer').textContent.includes('1 of 8 accepted')",
    );
    scene.step(HOSTS[1], Step::Accepted);
    browser.wait("the first gate", "!!document.querySelector('#ring-1.passed')");
    browser.wait("the second ring", "!!document.querySelector('#ring-2.running')");
    scene.step(HOSTS[2], Step::Fetching);
    scene.step(HOSTS[2], Step::Reverted);
    browser.wait(
        "the reason of the failure",
        &format!(
            "document.getElementById('cell-{}').ariaLabel.includes('exec format error')",
            scene.id(HOSTS[2])
        ),
    );
}

/// Walks by Tab from the start of the page to an element, as a person without a mouse does.
#[track_caller]
fn tab_to(browser: &mut Chromium, id: &str) {
    browser.evaluate("document.activeElement.blur(), getSelection().removeAllRanges()");
    for _ in 0..40 {
        browser.press("Tab");
        if browser.text("document.activeElement.id") == id {
            return;
        }
    }
    panic!("no way by Tab to {id}");
}

fn pause_and_resume_by_keyboard(scene: &Scene, browser: &mut Chromium) {
    tab_to(browser, "do-pause");
    browser.press("Enter");
    browser.wait("the pause", "document.querySelector('.title .badge').innerText === 'paused'");
    browser.wait("the focus on what can be done next", "document.activeElement.id === 'do-resume'");
    browser.press(" ");
    browser.wait("the way on", "document.querySelector('.title .badge').innerText === 'running'");
    let rollouts = scene.fleet.json(["rollout", "list"]);
    assert!(rollouts.to_string().contains("running"), "{rollouts}");
}

fn cells_are_walked_by_arrows(scene: &Scene, browser: &mut Chromium) {
    let focused = "document.activeElement.id";
    let third: Vec<String> =
        HOSTS[4..].iter().map(|host| format!("cell-{}", scene.id(host))).collect();
    let ring = "#ring-3 .cell";
    assert_eq!(
        browser.evaluate(&format!("document.querySelectorAll('{ring}[tabindex=\"0\"]').length")),
        json!(1),
        "one tab stop for the whole ring"
    );
    browser.evaluate(&format!("document.querySelector('{ring}').focus()"));
    let first = browser.text(focused);
    assert!(third.contains(&first));
    browser.press("ArrowRight");
    let second = browser.text(focused);
    assert!(third.contains(&second) && second != first);
    browser.press("ArrowLeft");
    assert_eq!(browser.text(focused), first);
    assert!(browser.text("document.querySelector('.tip').textContent").contains("waiting"));
    browser.press("Escape");
    assert_eq!(browser.evaluate("document.querySelector('.tip').hidden"), json!(true));
}

fn stop_is_asked_about(scene: &Scene, browser: &mut Chromium) {
    let is_open = "document.getElementById('ask').open";
    browser.click("#do-stop");
    browser.wait("the question", is_open);
    browser.wait("a safe answer under the focus", "document.activeElement.matches('[data-close]')");
    browser.press("Escape");
    browser.wait("the question to go", "!document.getElementById('ask').open");
    assert_eq!(browser.text("document.querySelector('.title .badge').innerText"), "running");

    browser.click("#do-stop");
    browser.wait("the question", is_open);
    assert!(
        browser.text("document.getElementById('question').innerText").starts_with("Stop go-1.27.3")
    );
    browser.click("#ask button.danger");
    browser
        .wait("the stop", "document.querySelector('.title .badge').innerText.startsWith('stop')");
    let rollouts = scene.fleet.json(["rollout", "list"]);
    assert!(rollouts.to_string().contains("stop"), "{rollouts}");
}

#[test]
#[ignore = "needs Chromium: cargo xtask test --suite browser"]
fn everything_is_stopped_and_let_go_on_from_the_overview() {
    let scene = scene();
    let mut browser = Chromium::start();
    scene.sign_in(&mut browser);
    let rollout = scene.start("go-1.27.3-everywhere", rings());
    scene.open(&mut browser, "/");
    browser.wait("the event stream", "pulse.dataset.state === 'live'");
    browser.click("#do-emergency");
    browser.wait("the question", "document.getElementById('ask').open");
    browser.evaluate("document.getElementById('reason').focus()");
    browser.write("builds fail");
    browser.click("#ask button.danger");
    let told = "document.querySelector('.attention')?.innerText.includes('builds fail') ?? false";
    browser.wait("the stop", told);
    assert_eq!(scene.fleet.json(["emergency", "status"])["stop"]["reason"], "builds fail");
    browser.wait("the rollout's pause", "document.body.innerText.includes('is paused')");
    assert_eq!(scene.status(&rollout).summary.reason.unwrap().code, "emergency");

    browser.click("#do-lift");
    browser.wait("the question", "document.getElementById('ask').open");
    browser.click("#ask button.primary");
    browser.wait("the end of it", "!!document.getElementById('do-emergency')");
    assert_no_trouble(&mut browser);
}

/// A rollout in its midst: one ring through, one under way, one device put back.
fn midway(scene: &mut Scene) -> String {
    let rollout = scene.start("go-1.27.3-everywhere", rings());
    for host in &HOSTS[..2] {
        for step in [Step::Fetching, Step::Soaking, Step::Accepted] {
            scene.step(host, step);
        }
    }
    for step in [Step::Fetching, Step::Verifying, Step::Failed, Step::Reverted] {
        scene.step(HOSTS[2], step);
    }
    scene.step(HOSTS[3], Step::Soaking);
    assert_eq!(scene.status(&rollout).summary.state, RolloutState::Running);
    format!("/rollouts/{}", rollout.summary.id)
}

#[test]
#[ignore = "needs Chromium: cargo xtask test --suite browser"]
fn every_page_fits_and_can_be_read_in_light_and_dark() {
    let mut scene = scene();
    let mut browser = Chromium::start();
    scene.sign_in(&mut browser);
    scene.open(&mut browser, "/rollouts");
    shown_commands_work(&scene, &mut browser);
    let planner = "/planner?do=forecast&rings=test:2,rest:rest&soak=10m&max_in_flight=2";
    let windowed = "/planner?do=forecast&rings=all:rest&window=daily+01:00-05:00";
    every_one_fits(&scene, &mut browser, &["/planner", planner, windowed]);
    let folder = std::env::var_os("GOFLEET_SCREENSHOTS").map(PathBuf::from);
    if let Some(folder) = &folder {
        pictures_of_the_planner(&scene, &mut browser, planner, folder);
    }
    let rollout = midway(&mut scene);
    let device = format!("/devices/{}", scene.id(HOSTS[2]));
    let stop = format!("{rollout}/stop");
    let pages = [
        "/",
        "/rollouts",
        &rollout,
        &stop,
        "/devices",
        &device,
        "/collections",
        "/collections/everybody",
        "/releases",
        "/nowhere",
    ];
    every_one_fits(&scene, &mut browser, &pages);
    // Chromium logs the status 404 of a page as an error.
    browser.take_trouble().iter().for_each(|trouble| assert!(trouble.contains("404"), "{trouble}"));
    if let Some(folder) = &folder {
        pictures(&scene, &mut browser, &rollout, folder);
    }
}

/// Whether all of a page can be read, in light and dark and on screens of all widths.
#[track_caller]
fn every_one_fits(scene: &Scene, browser: &mut Chromium, pages: &[&str]) {
    for page in pages {
        for scheme in [Scheme::Light, Scheme::Dark] {
            browser.scheme(scheme);
            for width in [1360, 768, 390, 360] {
                browser.size(width, 844, 1.0);
                scene.open(browser, page);
                let audit = browser.evaluate(include_str!("browser/audit.js"));
                assert_eq!(audit, json!([]), "{page} at {width} px, {scheme:?}");
            }
        }
    }
}

/// What the planner shows, large and small.
fn pictures_of_the_planner(
    scene: &Scene,
    browser: &mut Chromium,
    planner: &str,
    folder: &std::path::Path,
) {
    for (name, scheme, width, height) in [
        ("planner-light.png", Scheme::Light, 1280, 2000),
        ("planner-phone-dark.png", Scheme::Dark, 390, 3200),
    ] {
        browser.scheme(scheme);
        browser.size(width, height, 1.0);
        scene.open(browser, planner);
        browser.picture(&folder.join(name));
    }
}

/// What an empty page tells a person to type does what it says.
fn shown_commands_work(scene: &Scene, browser: &mut Chromium) {
    let shown = browser.text("document.querySelector('.empty pre').innerText");
    let line = shown.lines().next().unwrap();
    let words: Vec<&str> = line.split(' ').skip(1).map(|word| word.trim_matches('\'')).collect();
    assert_eq!(words[..2], ["rollout", "plan"], "{shown}");
    let plan = scene.fleet.ok(words);
    assert!(plan.stdout.contains("production"), "{plan}");
}

/// The pictures of the documentation.
fn pictures(scene: &Scene, browser: &mut Chromium, rollout: &str, folder: &std::path::Path) {
    let mut take = |name: &str, path: &str, scheme, width, height, scale| {
        browser.scheme(scheme);
        browser.size(width, height, scale);
        scene.open(browser, path);
        browser.wait("the event stream", "pulse.dataset.state === 'live'");
        browser.picture(&folder.join(name));
    };
    take("rollout-light.png", rollout, Scheme::Light, 1280, 860, 1.5);
    take("rollout-phone-dark.png", rollout, Scheme::Dark, 390, 844, 2.0);
    take("overview-light.png", "/", Scheme::Light, 1280, 760, 1.5);
    take("course-light.png", rollout, Scheme::Light, 1280, 1700, 1.0);
    take("course-phone-dark.png", rollout, Scheme::Dark, 390, 3000, 1.0);
}

#[test]
#[ignore = "needs Chromium: cargo xtask test --suite browser"]
fn a_rollout_is_planned_played_and_started_from_the_planner() {
    let scene = scene();
    let mut browser = Chromium::start();
    scene.sign_in(&mut browser);
    browser.click("nav a[href='/planner']");
    browser.wait("the planner", "location.pathname === '/planner'");
    browser.wait("the script", "document.documentElement.classList.contains('js')");
    let preview = "document.getElementById('preview').innerText";
    assert_eq!(browser.text(preview), "these 8 devices, at any time");
    browser.click("#devices");
    browser.write("label.site = muc");
    browser.wait("the devices", &format!("{preview} === 'these 2 devices, at any time'"));
    browser.write(" or");
    browser.wait("the mistake", "document.getElementById('preview').matches('.wrong')");
    assert!(browser.text(preview).contains("column"), "{}", browser.text(preview));
    // Chromium logs the status 400 of an answer as an error.
    browser.take_trouble();
    browser.write(" label.site = ber");
    browser.wait("the devices", &format!("{preview} === 'these 4 devices, at any time'"));
    browser.click("#window");
    browser.write("daily 00:00-24:00");
    browser.wait("the window", &format!("{preview}.includes('window open for all')"));

    browser.click("#do-forecast");
    browser.wait("the forecast", "!!document.getElementById('outlook')");
    let text = "document.getElementById('main').innerText";
    for expect in ["through, in 95% of runs", "What the forecast rests on", "assumed"] {
        let shows = browser.evaluate(&format!("{text}.includes('{expect}')"));
        assert_eq!(shows, json!(true), "{expect}: {}", browser.text(text));
    }
    let kept = browser.text("document.getElementById('devices').value");
    assert_eq!(kept, "label.site = muc or label.site = ber", "what was written stays");
    let plan = ["rollout", "plan", scene::NEW, "--simulate", "--select", &kept];
    let told = scene.fleet.ok(plan);
    for expect in ["forecast: through after", "RESTS ON", "4 devices in 3 rings", "HOUR"] {
        assert!(told.stdout.contains(expect), "{expect}: {told}");
    }
    let json = scene.fleet.json(plan);
    assert!(json["forecast"]["runs"].as_u64() > Some(0) && json["rings"].is_array(), "{json}");

    browser.click("#do-start");
    browser.wait("the rollout", "location.pathname.startsWith('/rollouts/r')");
    browser.wait("its rings", "!!document.querySelector('#ring-1.running')");
    browser.wait("its curve", "!!document.querySelector('.chart .c-planned')");
    assert_no_trouble(&mut browser);
}

#[test]
#[ignore = "needs Chromium: cargo xtask test --suite browser"]
fn the_timeline_of_a_rollout_is_looked_through() {
    let mut scene = scene();
    let mut browser = Chromium::start();
    scene.sign_in(&mut browser);
    let rollout = midway(&mut scene);
    scene.open(&mut browser, &rollout);
    browser.wait("the event stream", "pulse.dataset.state === 'live'");
    let shown =
        "[...document.querySelectorAll('#moments > li')].filter(it => it.checkVisibility())";
    browser.wait("one moment of many", &format!("{shown}.length === 1"));
    let number = format!("{shown}[0].id");
    let last = browser.text(&number);
    let cursor = "document.querySelector('[data-cursor]').getAttribute('d') || ''";
    assert_eq!(browser.text(cursor), "", "the latest is where the curves end");
    tab_to(&mut browser, "scrub");
    browser.press("Home");
    browser.wait("the first moment", &format!("{number} === 'moment-1'"));
    assert!(browser.text(&format!("{shown}[0].innerText")).contains("0 of 2 accepted"));
    assert!(browser.text(cursor).starts_with('M'), "the curves show it");
    // What happens meanwhile does not take the person away from it.
    scene.step(HOSTS[3], Step::Accepted);
    browser.wait("the news", &shows(&scene, HOSTS[3], Step::Accepted));
    assert_eq!(browser.text(&number), "moment-1");
    browser.press("ArrowRight");
    assert_eq!(browser.text(&number), "moment-2");
    browser.press("End");
    browser.wait("the latest moment", &format!("{number} !== 'moment-2'"));
    assert_ne!(browser.text(&number), "moment-1", "{last}");
    assert_no_trouble(&mut browser);
}

#[test]
#[ignore = "needs Chromium: cargo xtask test --suite browser"]
fn markup_in_what_devices_tell_stays_text() {
    const PAYLOAD: &str = "\"><img src=x onerror=alert(1)><script>alert(2)</script>";
    let mut scene = Scene::new();
    scene.enrol(PAYLOAD, ("site", PAYLOAD));
    scene.approve(scene::NEW, PAYLOAD);
    scene.collect("everybody", PAYLOAD);
    let rings = json!([{"name": PAYLOAD, "rest": true}]);
    let rollout = scene.start(PAYLOAD, rings);
    scene.step(PAYLOAD, Step::Fetching);
    let mut browser = Chromium::start();
    scene.sign_in(&mut browser);
    let rollout = format!("/rollouts/{}", rollout.summary.id);
    let device = format!("/devices/{}", scene.id(PAYLOAD));
    let query = "/devices?q=%22%3E%3Cscript%3Ealert(3)%3C%2Fscript%3E";
    let planner = "/planner?devices=%22%3E%3Cscript%3Ealert(4)%3C%2Fscript%3E";
    for page in [
        "/",
        "/rollouts",
        &rollout,
        "/devices",
        query,
        &device,
        "/collections",
        "/releases",
        planner,
    ] {
        scene.open(&mut browser, page);
        browser.wait("the event stream", "pulse.dataset.state === 'live'");
        assert_eq!(browser.evaluate("document.querySelectorAll('img[src=x]').length"), json!(0));
        let shown = browser.evaluate("document.documentElement.outerHTML.includes('alert(')");
        assert_eq!(shown, json!(true), "{page} shows the payload as text");
    }
    scene.open(&mut browser, &rollout);
    browser.wait("the event stream", "pulse.dataset.state === 'live'");
    scene.step(PAYLOAD, Step::Soaking);
    browser.wait("the next step", &shows(&scene, PAYLOAD, Step::Soaking));
    assert_no_trouble(&mut browser);
}

#[test]
#[ignore = "needs Chromium: cargo xtask test --suite browser"]
fn pages_and_forms_work_without_scripts() {
    let scene = scene();
    let mut browser = Chromium::start();
    browser.scripts(false);
    scene.sign_in(&mut browser);
    let rollout = scene.start("go-1.27.3-everywhere", rings());
    scene.open(&mut browser, &format!("/rollouts/{}", rollout.summary.id));
    let badge = "document.querySelector('.title .badge')?.innerText";
    browser.click("#do-pause");
    browser.wait("the pause", &format!("{badge} === 'paused'"));
    browser.click("#do-stop");
    browser.wait("the question", "!!document.getElementById('confirm')");
    browser.click("#confirm button");
    browser.wait("the stop", &format!("{badge}?.startsWith('stop')"));

    scene.open(&mut browser, "/releases");
    browser.click("form[action$='/block'] button");
    browser.wait("the question", "!!document.getElementById('reason')");
    browser.click("#reason");
    browser.write("CVE-2026-0001");
    browser.click("#confirm button");
    browser.wait("the list", "location.pathname === '/releases'");
    browser.wait("the reason", "document.body.innerText.includes('CVE-2026-0001')");
    assert_no_trouble(&mut browser);
}
