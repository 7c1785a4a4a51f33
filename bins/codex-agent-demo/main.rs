//! codex-agent-demo: try codex-agent on a sample home, without Codex.
//!
//! If it is run under the name `codex`, this executable is a Codex without a model, so that the tools that run Codex can
//! be tried too. It is not installed under that name: the demo makes a link in its temporary directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use codex_agent_fake as fake;
use codex_agent_fake::sample::Place;
use codex_agent_shared::child;
use codex_agent_shared::cli::{self, Command, Completes, Flag, Tool};
use codex_agent_shared::error::{Context, Error, Exit, Result, status};
use codex_agent_shared::store::private;

mod shell;
mod tour;

#[derive(Default)]
struct Args {
    command: Vec<OsString>,
    keep: Option<PathBuf>,
}

fn tool() -> Tool {
    Tool::ours("codex-agent-demo")
        .description([
            "Unpacks a small sample of Codex's home directory into a temporary directory, and runs COMMAND so that the tools of codex-agent use this sample. The sample has thirteen sessions, which Codex 0.169 created in three projects. Some of the sessions have a name, are archived, are forks or subagents, were interrupted or killed, or failed. In the environment of COMMAND, CODEX_HOME, CODEX_AGENT_CONFIG_HOME and CODEX_AGENT_STATE_HOME name directories in the temporary directory, so that the files of the user are not changed. When COMMAND has ended, the temporary directory is removed.",
            "In the environment of COMMAND, PATH and CODEX_AGENT_CODEX name a Codex without a model. This Codex answers each prompt with the text of the prompt, and needs no account and no network. The Codex without a model supports 'codex exec' and those requests of 'codex app-server' that the tools of codex-agent use, and has no TUI.",
            "Words of a prompt, in capital letters, make a turn slow, run a command or make the turn fail, so that runs can be tried. They may be combined. The words that delay or act are: SLEEPn waits n seconds, and MSn waits n milliseconds before the answer; SHELL{COMMAND} runs a shell command; HANG waits until the turn is interrupted; QUIET prints nothing for a minute.",
            "The words that fail a turn are: FAIL400, FAIL401, FAIL403 and FAIL500 fail with this HTTP status; OVERLOADED, CONTEXT, NOMODEL and RATELIMIT fail as the service does if it has no capacity, if the context is full, if the model is unknown, and after too many requests; LIMITn fails with a usage limit that resets n seconds after the first such failure; LIMITX fails with a usage limit without a reset time; NETWORK has no connection, until --network-timeout of the run; CUT ends the connection before the answer is complete; DIES ends Codex by SIGKILL in the turn; EXITS ends Codex before the turn.",
            "Without COMMAND, the demo shows step by step how sessions are listed, found and grouped by a pipe, counts the sessions in Codex's home directory of the user, and shows commands for these sessions. On a terminal, the demo waits for a key after each step: Space or Enter continues, and q ends the demo.",
            "If COMMAND is 'shell', or 'sh' without arguments on a terminal, the shell of the user is run: $SHELL if this is bash, zsh or fish, otherwise bash if it is installed, otherwise sh. The shell reads its usual startup files, completes the commands of codex-agent, has '(demo)' in its prompt, and writes no history.",
            "If COMMAND is an interactive shell, it is run in the directory of the sample projects. Any other COMMAND is run in the current directory.",
            "The working directories of the sample sessions exist and are empty, so that 'codex-agent group run', 'codex-agent resume' and 'codex-agent fork' can run the sample sessions.",
        ])
        .command(
            Command::new(run)
                .operand("[COMMAND [ARGUMENT...]]", &[Completes::Commands], |args, word| {
                    args.command.push(word);
                    Ok(())
                })
                .greedy()
                .flags(
                    "Options",
                    [Flag::directory("keep", "unpack the sample into DIR, and keep DIR", |args: &mut Args| &mut args.keep)
                        .more("DIR must not exist. The working directories of the sessions are created beside DIR, in DIR-projects, and the Codex without a model is in DIR-bin. Without COMMAND, the environment variables of the sample are printed as shell commands for eval.")],
                ),
        )
        .exit_status(&[
            (0, "Done."),
            (2, "Bad usage, or the directory could not be created."),
            (
                126,
                "COMMAND could not be run. If COMMAND was run, the exit status is that of COMMAND, or 128 plus the number of the signal that ended COMMAND.",
            ),
        ])
        .environment(&[
            ("SHELL", "The shell of the user."),
            ("TMPDIR", "The directory in which the temporary directory of the sample is created, instead of /tmp."),
            ("CODEX_HOME", "Codex's home directory, whose sessions are counted at the end of the demo."),
        ])
        .examples(&[
            ("Show the demo:", "codex-agent demo"),
            ("Run a command in the sample:", "codex-agent demo codex-agent ls --archived --json"),
            (
                "Run a pipe in the sample:",
                "codex-agent demo sh -c 'codex-agent ls --branch main | wc -l'",
            ),
            ("Start a shell in the sample:", "codex-agent demo sh"),
            (
                "Show a run of which one job fails:",
                "codex-agent demo codex-agent run -p 'Look for dead code' -p 'Mend the tests FAIL500'",
            ),
            (
                "Unpack a sample that is not removed, and use it in the current shell:",
                "eval \"$(codex-agent demo --keep sample)\" && codex-agent ls",
            ),
        ])
        .see_also("codex-agent(1) codex-agent-ls(1) codex-agent-group(1) codex-agent(7)".split(' '))
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().map(PathBuf::from);
    if name.is_some_and(|name| name.file_name().is_some_and(|name| name == fake::NAME)) {
        return fake::main(words.collect());
    }
    cli::main(tool())
}

fn run(args: Args) -> Result<Exit> {
    let directory = tempfile::Builder::new().prefix("codex-agent-demo-").tempdir();
    let directory = directory.context("make a directory in", &std::env::temp_dir())?;
    let exit = run_in(&args, directory.path());
    // Dropping the directory would remove it too, but could not report a failure.
    let path = directory.path().to_owned();
    directory.close().context("remove", &path)?;
    exit
}

fn run_in(args: &Args, dir: &Path) -> Result<Exit> {
    let sample = Sample::make(args.keep.as_deref(), dir)?;
    match (&args.keep, args.command.is_empty()) {
        (kept, false) => {
            let command = shell::resolve(&args.command);
            if !shell::is_interactive(&command) {
                return child::run(&mut sample.process(&command));
            }
            let startup = dir.join("shell");
            private::create_dir(&startup)?;
            let mut process = shell::process(&command, &sample.environment(), &startup)?;
            sample.0.set_env(&mut process);
            process.current_dir(&sample.0.projects);
            let place = sample.0.projects.display();
            let end = if kept.is_some() { "" } else { ", and the sample home is removed" };
            status(format_args!("this shell uses the sample home, in '{place}'; 'exit' ends the shell{end}"));
            child::run(&mut process)
        }
        (None, true) => tour::show(&sample),
        (Some(_), true) => {
            status(
                "the sample home is unpacked; eval \"$(codex-agent demo --keep DIR)\" in a shell sets the printed variables",
            );
            cli::print(&sample.variables())
        }
    }
}

/// The sample home.
struct Sample(Place);

impl Sample {
    /// Unpacks the sample into the directory `keep` and directories beside it, or else into the temporary `directory`.
    fn make(keep: Option<&Path>, directory: &Path) -> Result<Sample> {
        let mut place = Place::within(directory);
        if let Some(kept) = keep {
            place.home = std::path::absolute(kept).unwrap_or_else(|_| kept.to_owned());
            // The directory itself is Codex's home, in which no tool writes.
            let beside = |name: &str| {
                let mut path = place.home.clone().into_os_string();
                path.push(format!("-{name}"));
                PathBuf::from(path)
            };
            (place.config, place.state) = (beside("config"), beside("state"));
            (place.projects, place.bin) = (beside("projects"), beside("bin"));
            if place.home.symlink_metadata().is_ok() {
                return Err(Error::usage(format!("the path '{}' exists already", place.home.display()))
                    .hint("--keep needs a directory that does not exist"));
            }
        }
        let own = std::env::current_exe().context("find the executable", Path::new("codex-agent-demo"))?;
        // Only the link of an earlier sample is replaced.
        let codex = place.codex();
        if codex.symlink_metadata().is_ok() {
            let target = std::fs::read_link(&codex).unwrap_or_default();
            if target.file_name() != own.file_name() {
                return Err(Error::usage(format!("the file '{}' exists already", codex.display()))
                    .hint("move the file away, or choose another directory for --keep"));
            }
            std::fs::remove_file(&codex).context("remove the link", &codex)?;
        }
        place.make(&own)?;
        Ok(Sample(place))
    }

    fn process(&self, command: &[OsString]) -> Process {
        let mut process = Process::new(&command[0]);
        process.args(&command[1..]);
        self.0.set_env(&mut process);
        process
    }

    /// The environment of the sample, without PATH.
    fn environment(&self) -> shell::Environment {
        let mut command = Process::new("");
        self.0.set_env(&mut command);
        let mut variables: Vec<(String, Option<String>)> = command
            .get_envs()
            .filter(|(name, value)| *name != "PATH" && (value.is_some() || std::env::var_os(name).is_some()))
            .map(|(name, value)| {
                let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
                (text(name), value.map(text))
            })
            .collect();
        variables.sort();
        let own = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        let path = std::iter::once(self.0.bin.clone()).chain(own);
        shell::Environment { variables, path: path.map(|path| path.display().to_string()).collect() }
    }

    /// Lines for a POSIX shell that set the environment of the sample.
    fn variables(&self) -> String {
        self.environment().posix()
    }
}
