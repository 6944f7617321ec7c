//! A headless Chromium, driven over the DevTools protocol through two pipes: no driver program, no
//! web socket, and no port that somebody else could speak to.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use gofleet_testkit::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything in a browser may take on a busy machine with two cores.
const DEADLINE: Duration = Duration::from_secs(60);

/// Names that Chromium goes by, in the order of trying.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Without a sandbox, for the tests may run as root; and silent towards the network.
const ARGUMENTS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--lang=en-US",
    "--remote-debugging-pipe",
];

/// The browser with one page.
pub struct Chromium {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    sequence: u64,
    session: String,
    trouble: Vec<String>,
    profile: TempDir,
}

/// Light or dark, as the user's system asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Chromium {
    /// Starts it with an empty page.
    #[track_caller]
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let log = File::create(profile.path().join("log")).unwrap();
        // The protocol is spoken on descriptors 3 and 4; the shell puts our pipes there.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .arg(program())
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let messages = read_messages(child.stdout.take().unwrap());
        let mut chromium = Self {
            child,
            commands,
            messages,
            sequence: 0,
            session: String::new(),
            trouble: Vec::new(),
            profile,
        };
        chromium.attach();
        chromium
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let session = self.call(
            "Target.attachToTarget",
            json!({"targetId": target["targetId"], "flatten": true}),
        );
        self.session = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.size(1360, 900, 1.0);
        self.scheme(Scheme::Light);
    }

    /// Calls a method of the protocol and gives its answer.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is made where it is given")]
    fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.sequence += 1;
        let mut message = json!({"id": self.sequence, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.commands.write_all(&bytes).unwrap();
        loop {
            let answer = self.messages.recv_timeout(DEADLINE).unwrap_or_else(|error| {
                let log = fs::read_to_string(self.profile.path().join("log")).unwrap_or_default();
                panic!("no answer to {method} from Chromium: {error}\n{log}")
            });
            if answer["id"] != self.sequence {
                self.note(&answer);
            } else if answer["error"].is_null() {
                return Ok(answer["result"].clone());
            } else {
                return Err(answer["error"].clone());
            }
        }
    }

    /// Keeps what a page must never cause: errors, refusals of the content security policy, and
    /// dialogs that only an injected script would open.
    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        let trouble = match event["method"].as_str().unwrap_or_default() {
            "Log.entryAdded" => parameters["entry"]["level"] == "error",
            "Runtime.consoleAPICalled" => parameters["type"] == "error",
            "Runtime.exceptionThrown" | "Page.javascriptDialogOpening" => true,
            _ => false,
        };
        if trouble {
            self.trouble.push(parameters.to_string());
        }
    }

    /// What went wrong in pages since this was asked last.
    pub fn take_trouble(&mut self) -> Vec<String> {
        // An answer comes after every event that happened before it.
        self.evaluate("1");
        std::mem::take(&mut self.trouble)
    }

    /// Opens an address and waits until it is there.
    #[track_caller]
    pub fn open(&mut self, address: &str) {
        let answer = self.call("Page.navigate", json!({"url": address}));
        assert!(answer["errorText"].is_null(), "{address}: {answer}");
        self.wait("the page to load", "document.readyState === 'complete'");
    }

    /// The value of an expression in the page; a promise is awaited.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        self.try_evaluate(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    fn try_evaluate(&mut self, expression: &str) -> Result<Value, Value> {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.try_call("Runtime.evaluate", parameters)?;
        if answer["exceptionDetails"].is_null() {
            Ok(answer["result"]["value"].clone())
        } else {
            Err(answer["exceptionDetails"].clone())
        }
    }

    /// Text that an expression gives.
    #[track_caller]
    pub fn text(&mut self, expression: &str) -> String {
        self.evaluate(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true; between two pages it is not.
    #[track_caller]
    pub fn wait(&mut self, what: &str, condition: &str) {
        wait_until(what, DEADLINE, || {
            (self.try_evaluate(condition) == Ok(Value::Bool(true))).then_some(())
        });
    }

    /// The page's size in CSS pixels, and device pixels for each of them.
    pub fn size(&mut self, width: u32, height: u32, scale: f64) {
        let is_phone = width < 500;
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone}),
        );
    }

    /// What the user's system asks for; nothing moves, so that pictures are alike.
    pub fn scheme(&mut self, scheme: Scheme) {
        let scheme = if scheme == Scheme::Dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]}),
        );
    }

    /// Whether pages may run scripts.
    pub fn scripts(&mut self, are_enabled: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !are_enabled}));
    }

    /// Presses a key as a person does: `Tab`, `Enter`, ` `, `Escape`, `ArrowRight`, …
    pub fn press(&mut self, key: &str) {
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            " " => ("Space", 32, " "),
            "Escape" => ("Escape", 27, ""),
            "End" => ("End", 35, ""),
            "Home" => ("Home", 36, ""),
            "ArrowLeft" => ("ArrowLeft", 37, ""),
            "ArrowRight" => ("ArrowRight", 39, ""),
            "ArrowDown" => ("ArrowDown", 40, ""),
            _ => panic!("no code is known for key {key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                json!({"type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number,
                       "text": if kind == "keyDown" { text } else { "" }}),
            );
        }
    }

    /// Types text where the focus is.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Clicks the middle of the first element that a selector finds.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let middle = self.evaluate(&format!(
            "(() => {{ const node = document.querySelector({selector:?}); \
             node.scrollIntoView({{block: 'center'}}); const box = node.getBoundingClientRect(); \
             return [box.left + box.width / 2, box.top + box.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({"type": kind, "x": middle[0], "y": middle[1], "button": "left",
                       "clickCount": 1}),
            );
        }
    }

    /// Keeps a picture of the page.
    pub fn picture(&mut self, path: &Path) {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let data = answer["data"].as_str().unwrap();
        fs::write(path, base64(data)).unwrap();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.try_call_last("Browser.close");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Chromium {
    /// Sends a last word without waiting for an answer.
    fn try_call_last(&mut self, method: &str) -> std::io::Result<()> {
        let message = json!({"id": self.sequence + 1, "method": method});
        self.commands.write_all(format!("{message}\0").as_bytes())
    }
}

/// The Chromium of this machine.
fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("GOFLEET_CHROMIUM") {
        return program.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let candidates = PROGRAMS.iter().flat_map(|name| folders.iter().map(move |at| at.join(name)));
    candidates.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "there is no Chromium on the PATH: run `cargo xtask setup`, or set GOFLEET_CHROMIUM to \
             the program"
        )
    })
}

/// Messages end with a zero byte.
fn read_messages(from: impl std::io::Read + Send + 'static) -> Receiver<Value> {
    let (sender, messages) = mpsc::channel();
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        loop {
            let mut bytes = Vec::new();
            match from.read_until(0, &mut bytes) {
                Ok(length) if length > 0 => {
                    bytes.pop();
                    let Ok(message) = serde_json::from_slice(&bytes) else { return };
                    if sender.send(message).is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    });
    messages
}

/// Base64 with padding (RFC 4648, section 4), as the protocol writes pictures.
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = ALPHABET.iter().position(|known| *known == letter).expect("base64");
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
