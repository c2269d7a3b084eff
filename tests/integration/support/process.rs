//! The real binary: its commands, run as an operator runs them.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::Answer;

/// The longest that any command may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder to run commands in, with the only environment that they see.
pub struct Shell {
    pub folder: TempDir,
    variables: Vec<(String, String)>,
    before: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A command that goes on.
pub struct Running {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    /// Where it listens.
    pub url: String,
    pub http: reqwest::Client,
}

impl Shell {
    /// Nothing is set.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self {
            folder,
            variables: Vec::new(),
            before: String::new(),
        }
    }

    /// Sets a variable, or sets it to something else.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn get(&self, name: &str) -> &str {
        let found = self.variables.iter().find(|(other, _)| other == name);
        &found.expect("it is set").1
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Takes a variable away and puts its value into a file that `…_FILE` names.
    pub fn move_to_file(&mut self, name: &str) {
        let at = self
            .variables
            .iter()
            .position(|(other, _)| other == name)
            .expect("it is set");
        let (_, value) = self.variables.remove(at);
        let file = self.folder.path().join(name.to_lowercase());
        std::fs::write(&file, value + "\n").expect("written");
        self.set(&format!("{name}_FILE"), file.to_str().expect("UTF-8"));
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What a shell does before it becomes the command.
    pub fn wrap(&mut self, before: &str) {
        before.clone_into(&mut self.before);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let binary = env!("CARGO_BIN_EXE_readdress");
        let mut command = if self.before.is_empty() {
            Command::new(binary)
        } else {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &format!("{} exec \"$0\" \"$@\"", self.before), binary]);
            command
        };
        command
            .args(arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(arguments, "").await
    }

    /// Runs a command to its end, with that on its standard input.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Finished {
        let mut child = self.command(arguments).spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // Who does not read its input has closed it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = timeout(PATIENCE, child.wait_with_output()).await;
        let output = output
            .unwrap_or_else(|_| panic!("{arguments:?} does not end"))
            .expect("an end");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Starts a command, and waits for nothing.
    pub fn begin(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).spawn().expect("the binary starts");
        let stdout = keep(child.stdout.take().expect("a pipe"));
        let stderr = keep(child.stderr.take().expect("a pipe"));
        let http = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client");
        Running {
            child,
            stdout,
            stderr,
            url: String::new(),
            http,
        }
    }

    /// Starts a command that serves, and waits until it says where.
    pub async fn start(&self, command: &str) -> Running {
        let mut running = self.begin(&[command]);
        for _ in 0..600 {
            let said = format!("{}{}", running.stdout(), running.stderr());
            if let Some(address) = address(&said) {
                running.url = format!("http://{address}");
                return running;
            }
            if let Some(status) = running.ended() {
                panic!("{command} ended with {status}: {said}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!(
            "{command} does not say where it listens: {}{}",
            running.stdout(),
            running.stderr()
        );
    }
}

/// Where a command says that it listens: `serve` in its log, `dev` in its greeting.
fn address(said: &str) -> Option<String> {
    let greeting = said.find("Try it").filter(|_| said.contains("Ctrl-C"));
    let said = &said[said.find("listening").or(greeting)?..];
    let address = &said[said.find("127.0.0.1:")?..];
    let end = address.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')?;
    Some(address[..end].to_owned())
}

fn keep(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Arc<Mutex<String>> {
    let kept = Arc::new(Mutex::new(String::new()));
    let writer = Arc::clone(&kept);
    tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
            writer
                .lock()
                .expect("not poisoned")
                .push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    });
    kept
}

fn text(kept: &Mutex<String>) -> String {
    kept.lock().expect("not poisoned").clone()
}

impl Running {
    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Of the process itself, for what the system knows about it.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Sends a signal, and waits for the end: its exit code, and everything that was logged.
    pub async fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().expect("it runs");
        let kill = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {pid}")])
            .status()
            .await;
        assert!(kill.expect("a shell").success(), "{signal} cannot be sent");
        let ended = timeout(Duration::from_secs(10), self.child.wait()).await;
        let status = ended.expect("it ends within 10 s").expect("an end");
        // What is left in the pipe is read until the other end, which is closed.
        sleep(Duration::from_millis(100)).await;
        (status.code(), self.stderr())
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.url));
        Answer::read(request.send().await.expect("an answer")).await
    }

    pub async fn post(&self, path: &str, access: Option<&str>, body: Value) -> Answer {
        let mut request = self
            .http
            .request(Method::POST, format!("{}{path}", self.url));
        if let Some(access) = access {
            request = request.header("Authorization", format!("Bearer {access}"));
        }
        let request = request
            .header("Content-Type", "application/json")
            .body(body.to_string());
        Answer::read(request.send().await.expect("an answer")).await
    }
}
