//! A place to run a Codex in: Codex homes, working directories, the mock model of the tests, and the results
//! of all runs by label.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use codex_agent_engine::codex::server::Server;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::record::Id;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::model::Model;

/// The result of an experiment or a step; an error says why it failed.
pub type Outcome<T = ()> = Result<T, String>;

/// The longest time that a command may take. Machines that build other things meanwhile are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// The label of a run whose result is dropped.
const UNKEPT: &str = "-";

/// An error as a sentence.
pub fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Fails with a sentence where something is not so.
pub fn must(is_so: bool, why: impl FnOnce() -> String) -> Outcome {
    if is_so { Ok(()) } else { Err(why()) }
}

pub struct Lab {
    folder: tempfile::TempDir,
    pub codex: PathBuf,
    pub version: String,
    pub model: Model,
    ran: Mutex<BTreeMap<String, Ran>>,
}

/// The output of a command and its end: `exit` is a status, or `signal 9`.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    pub exit: String,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Ran {
    pub fn events(&self) -> Vec<Value> {
        self.out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The events of a type.
    pub fn event(&self, kind: &str) -> Outcome<Value> {
        let found = self.events().into_iter().find(|event| event["type"] == kind);
        found.ok_or_else(|| format!("no '{kind}' in {:?}", self.out))
    }

    /// The session in `thread.started`.
    pub fn id(&self) -> Outcome<String> {
        let event = self.event("thread.started")?;
        event["thread_id"].as_str().map(str::to_owned).ok_or_else(|| format!("no id in {event}"))
    }

    pub fn ended(&self, want: &str) -> Outcome {
        must(self.exit == want, || format!("ended with {}, not {want}: {}{}", self.exit, self.out, self.err))
    }
}

impl Lab {
    /// Makes a lab for this Codex, without any run in it.
    pub fn new(codex: &Path, version: &str) -> Outcome<Lab> {
        let folder = tempfile::Builder::new().prefix("facts-").tempdir().map_err(said)?;
        let (codex, version) = (codex.to_owned(), version.to_owned());
        let lab = Lab { folder, codex, version, model: Model::start(), ran: Mutex::default() };
        for directory in ["alpha", "beta", "notes", "gamma", "said"] {
            fs::create_dir(lab.path(directory)).map_err(said)?;
        }
        fs::write(lab.path("beta/AGENTS.md"), "Answer in one line.\n").map_err(said)?;
        for (directory, more) in
            [("alpha", "git remote add origin https://example.com/alpha.git"), ("beta", ":")]
        {
            let script = format!(
                "git init -q -b trunk . && git -c user.name=n -c user.email=e@example.com \
                 commit -q --allow-empty -m one && {more}"
            );
            let mut git = Command::new("sh");
            let status = git.args(["-c", &script]).current_dir(lab.path(directory)).status().map_err(said)?;
            must(status.success(), || "git cannot make a repository".to_owned())?;
        }
        Ok(lab)
    }

    /// Text without ids, times, ports and paths.
    pub fn plain(&self, text: &str) -> String {
        super::learn::plain(text, self.folder.path(), &self.version)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A Codex home, which is made at its first use.
    pub fn home(&self, name: &str) -> PathBuf {
        let home = self.path(&format!("home-{name}"));
        if !home.exists() && fs::create_dir(&home).is_ok() {
            let trust =
                |name| format!("[projects.\"{}\"]\ntrust_level = \"trusted\"\n", self.path(name).display());
            let trust = if name == "tui" { trust("alpha") } else { String::new() };
            let _ = fs::write(home.join("config.toml"), self.model.config_toml() + &trust);
        }
        home
    }

    /// A home, read by the library.
    pub fn view(&self, name: &str) -> Outcome<Home> {
        Home::find(Some(&self.home(name))).map_err(said)
    }

    pub fn ran(&self, label: &str) -> Outcome<Ran> {
        let ran = self.ran.lock().map_err(said)?;
        ran.get(label).cloned().ok_or_else(|| format!("'{label}' was not run"))
    }

    /// The results of all runs, by label.
    pub fn all(&self) -> BTreeMap<String, Ran> {
        self.ran.lock().map(|ran| ran.clone()).unwrap_or_default()
    }

    fn keep(&self, label: &str, ran: &Ran) {
        if let Ok(mut all) = self.ran.lock()
            && label != UNKEPT
        {
            all.insert(label.to_owned(), ran.clone());
        }
    }

    /// Records a result that no command printed. A label that begins with a dot is for the facts alone, and
    /// not a part of the known state.
    pub fn note(&self, label: &str, text: impl Into<String>) {
        self.keep(label, &Ran { out: text.into(), ..Ran::default() });
    }

    pub fn noted(&self, label: &str) -> Outcome<String> {
        Ok(self.ran(label)?.out)
    }

    /// Fails where the recorded result is another one.
    pub fn is_noted(&self, label: &str, want: &str) -> Outcome {
        let noted = self.noted(label)?;
        must(noted == want, || format!("'{label}' is {noted:?}, not {want:?}"))
    }

    /// The session that a run began or continued.
    pub fn id(&self, label: &str) -> Outcome<String> {
        self.ran(label)?.id()
    }

    /// Prepares a command in a home and a directory.
    pub fn at(&self, home: &str, directory: &str) -> Try<'_> {
        let (home, directory) = (self.home(home), self.path(directory));
        Try { lab: self, home, directory, input: None, variables: Vec::new(), out: None }
    }

    /// Whether a prompt with these words reached the model.
    pub fn was_asked(&self, words: &str) -> bool {
        self.model.requests().iter().any(|request| request.last_user_text.contains(words))
    }

    /// The output of a command such as `--help`.
    pub fn print(&self, words: &[&str]) -> Outcome<String> {
        // The help of a subcommand names the temporary directory as its default.
        let ran = self.at("said", "alpha").variable("TMPDIR", "/tmp".into()).run(UNKEPT, words)?;
        ran.ended("0")?;
        Ok(ran.out)
    }

    /// Starts an app-server with the library.
    pub fn server(&self, home: &str, directory: &str) -> Outcome<Server> {
        Server::start(&self.codex, &self.view(home)?, &self.path(directory)).map_err(said)
    }

    /// Asks a new app-server a single question.
    pub fn ask(&self, home: &str, method: &str, params: &Value) -> Outcome<Value> {
        let mut server = self.server(home, "alpha")?;
        let answer = server
            .call(method, params)
            .map_err(|failure| said(codex_agent_shared::error::Error::from(failure)));
        server.close();
        answer
    }

    /// Opens Codex's database of a home for reading.
    pub fn database(&self, home: &str) -> Outcome<Connection> {
        let view = self.view(home)?;
        let path = view.database().ok_or_else(|| format!("home '{home}' has no database"))?;
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(said)
    }

    /// Reads a column of a session's row; NULL is null.
    pub fn row(&self, home: &str, id: &str, column: &str) -> Outcome<Value> {
        let sql = format!("SELECT {column} FROM threads WHERE id = ?1");
        let value = self.database(home)?.query_row(&sql, [id], |row| row.get::<_, rusqlite::types::Value>(0));
        Ok(match value.map_err(|error| format!("threads.{column} of '{id}': {error}"))? {
            rusqlite::types::Value::Null | rusqlite::types::Value::Blob(_) => Value::Null,
            rusqlite::types::Value::Integer(number) => json!(number),
            rusqlite::types::Value::Real(number) => json!(number),
            rusqlite::types::Value::Text(text) => json!(text),
        })
    }

    /// The live rollout of a session, found by the library.
    pub fn rollout(&self, home: &str, id: &str) -> Outcome<PathBuf> {
        let id = Id::parse(id).ok_or_else(|| format!("'{id}' is no id"))?;
        let files = codex_agent_shared::codex::files::Files::walk(&self.home(home));
        let file = files.live(id, None).ok_or_else(|| format!("'{id}' has no rollout"))?;
        Ok(file.path.clone())
    }

    /// The lines of a session's rollout.
    pub fn lines(&self, home: &str, id: &str) -> Outcome<Vec<Value>> {
        let text = fs::read_to_string(self.rollout(home, id)?).map_err(said)?;
        text.lines().map(|line| serde_json::from_str(line).map_err(|why| format!("{why}: {line}"))).collect()
    }

    /// Waits until a condition holds.
    pub fn wait(&self, what: &str, mut is_so: impl FnMut() -> bool) -> Outcome {
        let start = Instant::now();
        while !is_so() {
            must(start.elapsed() < PATIENCE, || format!("waited in vain until {what}"))?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// A command that is prepared.
pub struct Try<'l> {
    lab: &'l Lab,
    home: PathBuf,
    directory: PathBuf,
    input: Option<Vec<u8>>,
    variables: Vec<(String, PathBuf)>,
    out: Option<PathBuf>,
}

impl<'l> Try<'l> {
    /// Sets its standard input, which is empty otherwise.
    pub fn input(mut self, input: impl AsRef<[u8]>) -> Self {
        self.input = Some(input.as_ref().to_vec());
        self
    }

    pub fn variable(mut self, name: &str, value: PathBuf) -> Self {
        self.variables.push((name.to_owned(), value));
        self
    }

    /// Sets a file as its standard output.
    pub fn out(mut self, path: &str) -> Self {
        self.out = Some(PathBuf::from(path));
        self
    }

    /// Runs Codex to its end and records the result.
    pub fn run<S: AsRef<OsStr>>(self, label: &str, words: &[S]) -> Outcome<Ran> {
        self.start(label, words)?.end()
    }

    /// Runs `codex exec --json` with more arguments.
    pub fn exec(self, label: &str, words: &[&str]) -> Outcome<Ran> {
        self.run(label, &[&["exec", "--json", "--skip-git-repo-check"], words].concat())
    }

    /// Starts Codex as jobs are started: in a process group of its own, with a locked standard output.
    pub fn start<S: AsRef<OsStr>>(self, label: &str, words: &[S]) -> Outcome<Started<'l>> {
        let codex = self.lab.codex.clone();
        self.program(label, &codex, words)
    }

    /// Starts any program in the same way.
    pub fn program<S: AsRef<OsStr>>(self, label: &str, program: &Path, words: &[S]) -> Outcome<Started<'l>> {
        let file = |kind: &str| self.lab.path(&format!("said/{}.{kind}", label.replace([' ', '/'], "-")));
        let (out, err) = (file("out"), file("err"));
        let out_file = match &self.out {
            Some(path) => File::options().write(true).open(path).map_err(said)?,
            None => File::create(&out).map_err(said)?,
        };
        if self.out.is_none() {
            out_file.lock().map_err(said)?;
        }
        let stdin = match &self.input {
            Some(input) => {
                fs::write(file("in"), input).map_err(said)?;
                Stdio::from(File::open(file("in")).map_err(said)?)
            }
            None => Stdio::null(),
        };
        let mut command = Command::new(program);
        command.args(words).current_dir(&self.directory).process_group(0).env("CODEX_HOME", &self.home);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(stdin).stdout(out_file).stderr(File::create(&err).map_err(said)?);
        let child =
            command.spawn().map_err(|error| format!("cannot run '{}': {error}", program.display()))?;
        let (lab, label) = (self.lab, label.to_owned());
        Ok(Started { lab, label, child, out, err, since: Instant::now() })
    }
}

/// A running Codex.
pub struct Started<'l> {
    lab: &'l Lab,
    label: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
    since: Instant,
}

impl Started<'_> {
    fn read(path: &Path) -> String {
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// The output so far.
    pub fn so_far(&self) -> Ran {
        let (out, err) = (Self::read(&self.out), Self::read(&self.err));
        Ran { exit: "-".into(), out, err, took: self.since.elapsed() }
    }

    /// Waits until its output has this text.
    pub fn until(&mut self, text: &str) -> Outcome<Ran> {
        let waited = self
            .lab
            .wait(&format!("'{}' printed {text}", self.label), || Self::read(&self.out).contains(text));
        waited.map_err(|why| format!("{why}: {:?}", self.so_far()))?;
        Ok(self.so_far())
    }

    /// Waits until the prompt has reached the model, which is the middle of the turn.
    pub fn until_asked(&mut self, words: &str) -> Outcome<Ran> {
        self.lab.wait(&format!("'{}' has asked the model", self.label), || self.lab.was_asked(words))?;
        Ok(self.so_far())
    }

    pub fn signal(&self, signal: Signal) -> Outcome {
        kill_process_group(Pid::from_child(&self.child), signal).map_err(said)
    }

    /// Kills the launcher alone, and not the native Codex that it has started.
    pub fn kill_alone(&self) -> Outcome {
        kill_process(Pid::from_child(&self.child), Signal::KILL).map_err(said)
    }

    /// Whether any process still holds its standard output.
    pub fn is_locked(&self) -> bool {
        File::open(&self.out).is_ok_and(|file| file.try_lock_shared().is_err())
    }

    /// Waits for its end and records the result. A Codex that does not end is killed.
    pub fn end(mut self) -> Outcome<Ran> {
        let status = loop {
            match self.child.try_wait().map_err(said)? {
                Some(status) => break Some(status),
                None if self.since.elapsed() > PATIENCE => break None,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        if status.is_none() {
            self.signal(Signal::KILL)?;
            self.child.wait().map_err(said)?;
        }
        let exit = status.map_or_else(|| format!("none within {} s", PATIENCE.as_secs()), exit);
        let ran = Ran { exit, ..self.so_far() };
        self.lab.keep(&self.label, &ran);
        Ok(ran)
    }
}

fn exit(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "nothing".to_owned(),
    }
}
