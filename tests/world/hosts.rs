//! Hosts on this machine: a planner and the hosts h1, h2 and h3, each a world of its own with a home, a Codex and a
//! state directory. The planner reaches the hosts by ssh, through real sshd on the loopback interface, or as the nodes of
//! a real Slurm ([`slurm`]). Nothing of this needs root.
//!
//! On one machine a host sees the files of the planner, so a run that uses them by mistake does not fail. A test
//! therefore counts the prompts of each host ([`Hosts::prompts`]), and finds the planner's Codex home unchanged.

// The tests need not use every part.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::fake::{Fake, wait_until};
use crate::world::model::Model;
use crate::world::real::Real;
use crate::world::{NEWEST, Ran, World, bins, ran};

pub mod slurm;

/// The names of the hosts.
pub const NAMES: [&str; 3] = ["h1", "h2", "h3"];

/// The user's PATH in a host, after the executables of the host and ours.
const SYSTEM: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// A world with a Codex.
pub trait Machine {
    fn world(&self) -> &World;
    fn world_mut(&mut self) -> &mut World;
    /// The directory in which tools are run.
    fn place(&self) -> PathBuf;
    /// The prompts that its model got, sorted.
    fn prompts(&self) -> Vec<String>;
}

impl Machine for Fake {
    fn world(&self) -> &World {
        &self.0
    }

    fn world_mut(&mut self) -> &mut World {
        &mut self.0
    }

    fn place(&self) -> PathBuf {
        self.0.path("work")
    }

    fn prompts(&self) -> Vec<String> {
        let mut prompts = Fake::prompts(self);
        prompts.sort();
        prompts
    }
}

impl Machine for Real {
    fn world(&self) -> &World {
        &self.world
    }

    fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    fn place(&self) -> PathBuf {
        self.world.path("alpha")
    }

    fn prompts(&self) -> Vec<String> {
        self.seen()
    }
}

/// A planner and three hosts. All processes of the hosts end when it is dropped.
pub struct Hosts<M: Machine> {
    pub planner: M,
    hosts: Vec<M>,
    sshds: Vec<Option<Sshd>>,
    ports: Vec<u16>,
    /// Accepts connections and never answers.
    _mute: Option<TcpListener>,
    slurm: Option<slurm::Slurm>,
}

impl Hosts<Fake> {
    /// Hosts with the fake Codex, over ssh. `None`, with a message, without sshd.
    pub fn over_ssh() -> Option<Hosts<Fake>> {
        let sshd = find_sshd()?;
        let mut hosts = Hosts::of(|| Some(Fake::newest()), "")?;
        hosts.start_ssh(&sshd);
        Some(hosts)
    }

    /// Hosts with the fake Codex, as the nodes n1, n2 and n3 of a Slurm. `None`, with a message, without Slurm.
    pub fn over_slurm() -> Option<Hosts<Fake>> {
        let programs = slurm::find()?;
        let mut hosts = Hosts::of(|| Some(Fake::newest()), "")?;
        hosts.start_slurm(&programs);
        Some(hosts)
    }
}

impl Hosts<Real> {
    /// Hosts with the real Codex, each with a model service of its own, over ssh.
    pub fn real_over_ssh() -> Option<Hosts<Real>> {
        let sshd = find_sshd()?;
        let mut hosts = Hosts::of_real()?;
        hosts.start_ssh(&sshd);
        Some(hosts)
    }

    /// As [`Hosts::real_over_ssh`], as the nodes of a Slurm.
    pub fn real_over_slurm() -> Option<Hosts<Real>> {
        let programs = slurm::find()?;
        let mut hosts = Hosts::of_real()?;
        hosts.start_slurm(&programs);
        Some(hosts)
    }

    fn of_real() -> Option<Hosts<Real>> {
        // npm's launcher is a script for node, which may be anywhere.
        let path = std::env::var("PATH").unwrap_or_default();
        Hosts::of(|| Real::with_model(NEWEST, Model::start()), &path)
    }
}

impl<M: Machine> Hosts<M> {
    fn of(make: impl Fn() -> Option<M>, path: &str) -> Option<Hosts<M>> {
        let mut planner = make()?;
        let hosts: Option<Vec<M>> = NAMES.iter().map(|_| make()).collect();
        let mut hosts = hosts?;
        for host in hosts.iter_mut().chain([&mut planner]) {
            let own = host.world().path("own");
            std::fs::create_dir(&own).unwrap();
            let path = format!("{}:{}:{path}:{SYSTEM}", own.display(), bins().display());
            host.world_mut().set("PATH", path.replace("::", ":"));
        }
        let hosts = Hosts { planner, hosts, sshds: Vec::new(), ports: Vec::new(), _mute: None, slurm: None };
        for name in NAMES {
            hosts.write_environment(name);
            hosts.host(name).world().script("enter", ENTER);
        }
        Some(hosts)
    }

    fn index(name: &str) -> usize {
        NAMES.iter().position(|own| *own == name).unwrap_or_else(|| panic!("there is no host '{name}'"))
    }

    /// The world of a host: everything that is run in it is run as on the host.
    pub fn host(&self, name: &str) -> &M {
        &self.hosts[Self::index(name)]
    }

    /// Sets an environment variable of what is started on a host from now on.
    pub fn set_on(&mut self, name: &str, variable: &str, value: impl Into<String>) {
        self.hosts[Self::index(name)].world_mut().set(variable, value);
        self.write_environment(name);
    }

    /// Puts an executable first on the PATH of a host.
    pub fn script_on(&self, name: &str, program: &str, text: &str) -> PathBuf {
        self.host(name).world().script(&format!("own/{program}"), text)
    }

    /// Puts an executable first on the PATH of the planner.
    pub fn script(&self, program: &str, text: &str) -> PathBuf {
        self.planner.world().script(&format!("own/{program}"), text)
    }

    fn write_environment(&self, name: &str) {
        let host = self.host(name);
        let command = host.world().command("true");
        let quoted = |value: &str| format!("'{}'", value.replace('\'', "'\\''"));
        let lines = command.get_envs().filter_map(|(variable, value)| {
            let value = quoted(value?.to_str().unwrap());
            Some(format!("export {}={value}\n", variable.to_str().unwrap()))
        });
        let text = lines.collect::<String>() + &format!("export FAKE_HOST={name}\n");
        // Another process may be reading it.
        let path = host.world().write("environment.new", text);
        std::fs::rename(path, host.world().path("environment")).unwrap();
    }

    /// A command of the planner, in its working directory: one of our tools or another program, and its arguments.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.planner.world().command(words[0]);
        command.args(&words[1..]).current_dir(self.planner.place());
        command
    }

    /// Runs a command of the planner.
    pub fn run(&self, words: &[&str]) -> Ran {
        self.feed(words, "")
    }

    /// Runs a command of the planner with this on standard input.
    pub fn feed(&self, words: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let ran = ran::feed(&mut self.command(words), input.as_ref());
        if words[0].starts_with("codex-agent") {
            self.planner.world().hold(words, input.as_ref(), &ran.out);
        }
        ran
    }

    /// Runs a line of bash of the planner.
    pub fn sh(&self, line: &str) -> Ran {
        ran::finish(&mut self.command(&["bash", "-c", line]))
    }

    /// Runs a command on a host without ssh, in the directory `work`, or `alpha` with the real Codex.
    pub fn run_on(&self, name: &str, words: &[&str]) -> Ran {
        let host = self.host(name);
        let mut command = host.world().command(words[0]);
        let ran = ran::finish(command.args(&words[1..]).current_dir(host.place()));
        if words[0].starts_with("codex-agent") {
            host.world().hold(words, b"", &ran.out);
        }
        ran
    }

    /// The prompts that the model of each host got, sorted.
    pub fn prompts(&self) -> [Vec<String>; 3] {
        NAMES.map(|name| self.host(name).prompts())
    }

    /// The prompts that all models got, sorted; those of the planner's too, which normally gets none.
    pub fn all_prompts(&self) -> Vec<String> {
        let all = self.hosts.iter().chain([&self.planner]);
        let mut all: Vec<String> = all.flat_map(Machine::prompts).collect();
        all.sort();
        all
    }

    /// Waits until the models of the hosts have got so many prompts.
    #[track_caller]
    pub fn wait_for_prompts(&self, count: usize) {
        wait_until(|| self.all_prompts().len() >= count);
    }

    /// The processes on a host that were started over ssh or Slurm, or by [`Hosts::run_on`].
    pub fn processes(&self, name: &str) -> Vec<Process> {
        processes_of(&self.host(name).world().path("home"))
    }

    /// Sends a signal to the processes on a host whose command line contains a text, and returns their number.
    pub fn signal_on(&self, name: &str, text: &str, signal: Signal) -> usize {
        signal_all(&self.processes(name), text, signal)
    }

    /// As [`Hosts::signal_on`], for the processes of the planner, such as its ssh.
    pub fn signal_planner(&self, text: &str, signal: Signal) -> usize {
        signal_all(&processes_of(&self.planner.world().path("home")), text, signal)
    }
}

/// What sshd and Slurm run on a host: a command line of ssh, or the arguments.
const ENTER: &str = r#"#!/bin/bash
. "${0%/*}/environment"
cd "$HOME" || exit 1
[ $# -gt 0 ] && exec "$@"
exec /bin/bash -c "${SSH_ORIGINAL_COMMAND:-true}"
"#;

/// A process, by its id.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: Pid,
    /// The command line, its words separated by blanks.
    pub command: String,
}

pub fn signal_all(all: &[Process], text: &str, signal: Signal) -> usize {
    let wanted = all.iter().filter(|process| process.command.contains(text));
    wanted.filter(|process| kill_process(process.pid, signal).is_ok()).count()
}

/// All processes, by a condition on their directory in /proc.
fn processes(is_wanted: impl Fn(&Path) -> bool) -> Vec<Process> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = std::process::id();
    all.filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        // A zombie has no command line.
        if number == own || command.is_empty() || !is_wanted(&entry.path()) {
            return None;
        }
        let command = String::from_utf8_lossy(&command).replace('\0', " ").trim_end().to_owned();
        Some(Process { pid: Pid::from_raw(number as i32)?, command })
    })
    .collect()
}

/// The processes whose home directory is this one, which no other test has.
pub fn processes_of(home: &Path) -> Vec<Process> {
    let wanted = format!("HOME={}", home.display());
    processes(|process| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|line| line == wanted.as_bytes())
    })
}

fn parent_of(process: &Path) -> Option<i32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// A program and its options, as the path that a test needs; `None`, with a message, if it is missing.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(SYSTEM.split(':').map(PathBuf::from));
    let found = directories.map(|directory| directory.join(program)).find(|path| path.exists());
    if found.is_none() {
        assert!(
            std::env::var_os("CODEX_AGENT_REQUIRE_HOSTS").is_none(),
            "the program {program} is required here, and .ci/run could not install it"
        );
        eprintln!("SKIPPED: the program {program} is missing; .ci/run installs it");
    }
    found
}

/// Finds the programs that a test needs beside sshd or Slurm.
pub fn has_program(program: &str) -> bool {
    find(program).is_some()
}

fn find_sshd() -> Option<PathBuf> {
    // sshd refuses to start without its absolute path.
    let sshd = find("sshd")?;
    (has_program("ssh") && has_program("ssh-keygen")).then_some(sshd)
}

/// An sshd on the loopback interface.
struct Sshd {
    child: Child,
    port: u16,
}

impl Sshd {
    /// Starts sshd by the configuration in this directory, on this port or, if it is 0, on a free one.
    fn start(sshd: &Path, directory: &Path, wanted: u16) -> Sshd {
        for _ in 0..20 {
            let port = if wanted == 0 { free_ports::<1>()[0] } else { wanted };
            let mut command = Command::new(sshd);
            command.args(["-D", "-e", "-f"]).arg(directory.join("sshd_config"));
            command.args(["-o", &format!("Port={port}")]);
            // Later versions refuse an address for a while after a few failed connections.
            let optional = ["-o", "PerSourcePenalties=no"];
            let mut test = Command::new(sshd);
            test.arg("-t").arg("-f").arg(directory.join("sshd_config")).args(optional).stderr(Stdio::null());
            if test.status().unwrap().success() {
                command.args(optional);
            }
            command.env_clear().env("PATH", SYSTEM).stdin(Stdio::null()).stdout(Stdio::null());
            let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let mut seen = String::new();
            let is_ready = lines.by_ref().map_while(Result::ok).any(|line| {
                seen.push_str(&line);
                seen.push('\n');
                line.contains("Server listening on 127.0.0.1")
            });
            if is_ready {
                // sshd would be killed by a closed pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Sshd { child, port };
            }
            child.wait().unwrap();
            assert!(seen.contains("in use"), "sshd does not start: {seen}");
        }
        panic!("there is no free port for sshd");
    }

    /// The daemon and the processes of its connections.
    fn processes(&self) -> Vec<Process> {
        let mut pids = vec![self.child.id() as i32];
        loop {
            let found = processes(|process| {
                let is_sshd =
                    std::fs::read_to_string(process.join("comm")).is_ok_and(|c| c.starts_with("sshd"));
                is_sshd && parent_of(process).is_some_and(|parent| pids.contains(&parent))
            });
            let more: Vec<i32> = found.iter().map(|process| process.pid.as_raw_nonzero().get()).collect();
            let known = pids.len();
            pids.extend(more.into_iter().filter(|pid| !pids.contains(pid)).collect::<Vec<_>>());
            if pids.len() == known {
                let sshd = Pid::from_child(&self.child);
                return found
                    .into_iter()
                    .chain([Process { pid: sshd, command: "sshd".to_owned() }])
                    .collect();
            }
        }
    }

    fn signal(&self, signal: Signal) {
        signal_all(&self.processes(), "", signal);
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Free ports, which another process may take before they are used.
fn free_ports<const N: usize>() -> [u16; N] {
    let open = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    open.map(|listener| listener.local_addr().unwrap().port())
}

impl<M: Machine> Hosts<M> {
    /// Starts a sshd for each host, and puts an `ssh` first on the planner's PATH that knows the names h1, h2 and h3;
    /// `dead`, which refuses connections; `mute`, which accepts them and never answers; and `refused`, which refuses the
    /// key.
    fn start_ssh(&mut self, sshd: &Path) {
        if crate::world::is_root() {
            // The directory of sshd's privilege separation, which an init script makes.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let planner = self.planner.world();
        for key in ["key", "other-key", "host-key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(planner.path(key))
                .stdin(Stdio::null())
                .status();
            assert!(made.unwrap().success());
        }
        for host in &self.hosts {
            let config = format!(
                "ListenAddress 127.0.0.1\nHostKey {key}\nPidFile none\nAuthorizedKeysFile {authorized}\nUsePAM no\n\
                 StrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPrintMotd no\n\
                 PrintLastLog no\nMaxStartups 100\nMaxSessions 100\nForceCommand {enter}\n",
                key = planner.path("host-key").display(),
                authorized = planner.path("key.pub").display(),
                enter = host.world().path("enter").display(),
            );
            host.world().write("sshd_config", config);
            self.sshds.push(Some(Sshd::start(sshd, &host.world().path(""), 0)));
        }
        self.ports = self.sshds.iter().flatten().map(|sshd| sshd.port).collect();
        let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Nothing listens on port 1.
        let host_key = std::fs::read_to_string(planner.path("host-key.pub")).unwrap();
        let known = self.ports.iter().map(|port| format!("[127.0.0.1]:{port} {host_key}"));
        planner.write("known_hosts", known.collect::<String>());
        let ports = NAMES.iter().copied().zip(self.ports.iter().copied());
        let ports = ports.chain([("dead", 1), ("mute", mute.local_addr().unwrap().port())]);
        let ports = ports.chain([("refused", self.ports[0])]);
        let hosts = ports.map(|(name, port)| format!("Host {name}\n  HostName 127.0.0.1\n  Port {port}\n"));
        let config = hosts.collect::<String>()
            + &format!(
                "Host refused\n  IdentityFile {other}\nHost * !refused\n  IdentityFile {key}\nHost *\n  IdentitiesOnly yes\n  \
                 BatchMode yes\n  ConnectTimeout 5\n  UserKnownHostsFile {known}\n  StrictHostKeyChecking yes\n  \
                 ServerAliveInterval 5\n  ServerAliveCountMax 2\n",
                other = planner.path("other-key").display(),
                key = planner.path("key").display(),
                known = planner.path("known_hosts").display(),
            );
        let config = planner.write("ssh_config", config);
        let ssh = find("ssh").unwrap();
        // ssh reads the home directory from passwd, and not from HOME.
        self.script("ssh", &format!("#!/bin/sh\nexec {} -F {} \"$@\"\n", ssh.display(), config.display()));
        self._mute = Some(mute);
    }

    fn sshd(&self, name: &str) -> &Sshd {
        self.sshds[Self::index(name)].as_ref().expect("the sshd is not running")
    }

    /// Ends sshd on a host, with all connections. Processes on the host live on, as far as they survive that.
    pub fn stop_sshd(&mut self, name: &str) {
        self.sshds[Self::index(name)] = None;
    }

    /// Starts sshd on a host again, on the same port.
    pub fn start_sshd(&mut self, name: &str) {
        let at = Self::index(name);
        let directory = self.hosts[at].world().path("");
        self.sshds[at] = Some(Sshd::start(&find("sshd").unwrap(), &directory, self.ports[at]));
    }

    /// Halts sshd on a host: connections stay open, and nothing comes through.
    pub fn pause_sshd(&self, name: &str) {
        self.sshd(name).signal(Signal::STOP);
    }

    /// Resumes sshd on a host.
    pub fn resume_sshd(&self, name: &str) {
        self.sshd(name).signal(Signal::CONT);
    }
}

impl<M: Machine> Drop for Hosts<M> {
    fn drop(&mut self) {
        self.sshds.clear();
        let slurm = self.slurm.take();
        let begun = Instant::now();
        // A process that is being started may be missed once.
        while begun.elapsed() < Duration::from_secs(10) {
            let hosts = self.hosts.iter().chain([&self.planner]);
            let mut left: Vec<Process> =
                hosts.flat_map(|host| processes_of(&host.world().path("home"))).collect();
            left.extend(slurm.iter().flat_map(slurm::Slurm::processes));
            if left.is_empty() {
                break;
            }
            signal_all(&left, "", Signal::KILL);
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(slurm);
    }
}
