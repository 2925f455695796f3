//! A headless Chromium, driven over the W3C WebDriver protocol.
//!
//! Only what the stories need: the protocol is JSON over HTTP, which the harness speaks anyway.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::http::Request;
use crate::scratch::{Scratch, free_port};
use crate::wait;

/// The member that holds an element's id in WebDriver answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser window; it and its driver end with this value.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: Scratch,
}

impl Browser {
    pub fn open() -> Self {
        let profile = Scratch::new();
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed (tests/setup.sh)");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut browser = Self { driver, address, session: String::new(), profile };
        wait::until("the browser driver", || Request::get("/status").send(address).ok());
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--window-size=1280,900".to_owned(),
            format!("--user-data-dir={}", browser.profile.path().display()),
        ];
        if rustix::process::geteuid().is_root() {
            // Chromium's sandbox does not work for root; the tests load nothing but our own pages.
            arguments.push("--no-sandbox".to_owned());
        }
        let options = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.command("POST", "/session", &options);
        session["sessionId"]
            .as_str()
            .expect("a session has an id")
            .clone_into(&mut browser.session);
        browser
    }

    pub fn go(&self, url: &str) {
        self.command("POST", &self.path("/url"), &json!({"url": url}));
    }

    pub fn url(&self) -> String {
        let url = self.command("GET", &self.path("/url"), &Value::Null);
        url.as_str().unwrap_or_default().to_owned()
    }

    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height});
        self.command("POST", &self.path("/window/rect"), &size);
    }

    /// The text a person sees on the page.
    pub fn text(&self) -> String {
        let text = self.run("return document.body ? document.body.innerText : ''");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The result of a script in the page.
    pub fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.command("POST", &self.path("/execute/sync"), &body)
    }

    /// Waits until the page shows a text, in any case.
    pub fn wait_for(&self, text: &str) {
        let wanted = text.to_lowercase();
        let deadline = wait::Deadline::after(wait::PATIENCE);
        while !self.text().to_lowercase().contains(&wanted) {
            assert!(
                !deadline.passed(),
                "{text:?} did not appear on {}:\n{}",
                self.url(),
                self.text()
            );
            wait::pause();
        }
    }

    /// Types into the form field with this name, in place of what it holds.
    pub fn fill(&self, field: &str, value: &str) {
        let element = self.find("css selector", &format!("[name=\"{field}\"]:not([type=hidden])"));
        self.command("POST", &self.path(&format!("/element/{element}/clear")), &json!({}));
        let keys = json!({"text": value});
        self.command("POST", &self.path(&format!("/element/{element}/value")), &keys);
    }

    /// Presses the first visible button or link whose text begins so, in any case; one in the page's main
    /// part before one of its navigation.
    pub fn press(&self, label: &str) {
        let script = format!(
            "const wanted = {}.toLowerCase();
             const all = [...document.querySelectorAll('button, a, summary, input[type=submit], [role=button]')];
             const text = e => (e.innerText || e.value || e.getAttribute('aria-label') || '').trim().toLowerCase();
             const aside = e => e.closest('main') ? 0 : 1;
             const seen = all.filter(e => e.checkVisibility() && !e.disabled).sort((a, b) => aside(a) - aside(b));
             return seen.find(e => text(e) === wanted) || seen.find(e => text(e).startsWith(wanted)) || null",
            json!(label)
        );
        let found = wait::until(&format!("{label:?} on {}", self.url()), || {
            Some(self.run(&script)).filter(|found| !found.is_null())
        });
        let element = found[ELEMENT].as_str().expect("a script returns an element").to_owned();
        self.command("POST", &self.path(&format!("/element/{element}/click")), &json!({}));
    }

    /// Clicks the first element that a CSS selector finds.
    pub fn click(&self, selector: &str) {
        let element = self.find("css selector", selector);
        self.command("POST", &self.path(&format!("/element/{element}/click")), &json!({}));
    }

    /// Whether a CSS selector finds anything.
    pub fn has(&self, selector: &str) -> bool {
        let script = format!("return document.querySelector({}) !== null", json!(selector));
        self.run(&script).as_bool().unwrap_or(false)
    }

    /// Errors that the page wrote to the console since the last look, such as blocked scripts.
    pub fn console_errors(&self) -> Vec<String> {
        let entries = self.command("POST", &self.path("/se/log"), &json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Keeps a picture of the window in the folder `KEYTOLL_SCREENSHOTS`, if that is set.
    pub fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("KEYTOLL_SCREENSHOTS").map(PathBuf::from) else {
            return;
        };
        let data = self.command("GET", &self.path("/screenshot"), &Value::Null);
        let image = from_base64(data.as_str().unwrap_or_default());
        std::fs::create_dir_all(&folder).expect("the folder for pictures can be made");
        std::fs::write(folder.join(format!("{name}.png")), image)
            .expect("a picture can be written");
    }

    fn find(&self, using: &str, value: &str) -> String {
        let found = wait::until(&format!("{value} on {}", self.url()), || {
            let query = json!({"using": using, "value": value});
            self.try_command("POST", &self.path("/element"), &query).ok()
        });
        found[ELEMENT].as_str().expect("a found element has an id").to_owned()
    }

    fn path(&self, rest: &str) -> String {
        format!("/session/{}{rest}", self.session)
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let done = self.try_command(method, path, body);
        done.unwrap_or_else(|problem| panic!("browser refused {method} {path} {body}: {problem}"))
    }

    fn try_command(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let mut request = Request::new(method, path);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send(self.address).expect("the browser driver answers");
        let value = answer.json()["value"].take();
        if answer.status == 200 { Ok(value) } else { Err(value) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Closing the session ends the browser; killing the driver alone would leave it running.
            let _ = Request::new("DELETE", &self.path("")).send(self.address);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Decodes standard base64; other characters are skipped.
fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.bytes() {
        let Some(value) = ALPHABET.iter().position(|known| *known == byte) else {
            continue;
        };
        bits = (bits << 6 | u32::try_from(value).unwrap_or(0)) & 0x00ff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}
