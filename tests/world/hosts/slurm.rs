//! A Slurm of three nodes on this machine, without munge, without systemd and without root.
//!
//! The nodes n1, n2 and n3 are the hosts h1, h2 and h3: srun carries the environment of the planner to a node, so
//! `on-node COMMAND` there has the environment of the host instead.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

use super::{Hosts, Machine, NAMES, Process, find as find_program, free_ports, processes};
use crate::world::World;
use crate::world::fake::wait_until;

/// The daemons of Slurm.
pub struct Programs {
    controller: PathBuf,
    node: PathBuf,
}

/// Finds Slurm; `None`, with a message, if it is missing.
pub fn find() -> Option<Programs> {
    let (controller, node) = (find_program("slurmctld")?, find_program("slurmd")?);
    find_program("srun").map(|_| Programs { controller, node })
}

/// The daemons, which end when it is dropped.
pub struct Slurm {
    children: Vec<Child>,
    directory: PathBuf,
}

impl Slurm {
    fn start(programs: &Programs, world: &World) -> Slurm {
        let directory = world.path("slurm");
        for part in ["state", "spool/n1", "spool/n2", "spool/n3", "log", "run"] {
            std::fs::create_dir_all(directory.join(part)).unwrap();
        }
        for _ in 0..20 {
            let conf = world.write("slurm/slurm.conf", configuration(&directory, free_ports()));
            let start = |program: &Path, words: &[&str]| -> Child {
                let mut command = Command::new(program);
                command.args(words).arg("-f").arg(&conf).env_clear().env("SLURM_CONF", &conf);
                command.env("PATH", super::SYSTEM).current_dir(&directory).stdin(Stdio::null());
                command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
            };
            let mut children = vec![start(&programs.controller, &["-D", "-c"])];
            children.extend(["n1", "n2", "n3"].map(|name| start(&programs.node, &["-D", "-N", name])));
            let mut slurm = Slurm { children, directory: directory.clone() };
            if slurm.is_ready(world) {
                return slurm;
            }
        }
        panic!("Slurm does not start; its logs are in '{}'", directory.join("log").display());
    }

    /// Waits until all nodes are idle; false if a daemon has ended, as its port was taken.
    fn is_ready(&mut self, world: &World) -> bool {
        let has_ended = std::cell::Cell::new(false);
        let children = std::cell::RefCell::new(&mut self.children);
        wait_until(|| {
            let ended = children.borrow_mut().iter_mut().any(|child| child.try_wait().unwrap().is_some());
            has_ended.set(ended);
            let mut query = world.command("sinfo");
            query.args(["-h", "-t", "idle", "-o", "%D"]).stderr(Stdio::null());
            query.env("SLURM_CONF", self.directory.join("slurm.conf"));
            ended || query.output().unwrap().stdout == b"3\n"
        });
        !has_ended.get()
    }

    /// The processes of its daemons and its steps.
    pub(super) fn processes(&self) -> Vec<Process> {
        let own =
            self.children.iter().map(|child| Process { pid: Pid::from_child(child), command: String::new() });
        let (conf, spool) = (self.directory.join("slurm.conf"), self.directory.join("spool"));
        let is_open = |process: &Path| {
            let open = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
            open.filter_map(|file| std::fs::read_link(file.path()).ok())
                .any(|path| path.starts_with(&self.directory))
        };
        let wanted = format!("SLURM_CONF={}", conf.display());
        let steps = processes(|process| {
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|line| line == wanted.as_bytes())
                || std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&spool))
                || is_open(process)
        });
        own.filter(|own| {
            std::fs::read(format!("/proc/{}/cmdline", own.pid)).is_ok_and(|line| !line.is_empty())
        })
        .chain(steps)
        .collect()
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn configuration(directory: &Path, ports: [u16; 4]) -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let machine = name.trim().split('.').next().unwrap();
    let user = Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(user.stdout).unwrap();
    let (user, directory) = (user.trim(), directory.display());
    let nodes: String = ports[1..]
        .iter()
        .zip(1..)
        .map(|(port, number)| {
            format!(
                "NodeName=n{number} NodeHostname={machine} NodeAddr=127.0.0.1 Port={port} CPUs=4 CoresPerSocket=4 \
                 ThreadsPerCore=1 RealMemory=100 State=UNKNOWN\n"
            )
        })
        .collect();
    format!(
        "ClusterName=loop\nSlurmctldHost={machine}(127.0.0.1)\nSlurmUser={user}\nSlurmdUser={user}\n\
         SlurmctldPort={controller}\nAuthType=auth/none\nCredType=cred/none\nStateSaveLocation={directory}/state\n\
         SlurmdSpoolDir={directory}/spool/%n\nSlurmctldPidFile={directory}/run/slurmctld.pid\n\
         SlurmdPidFile={directory}/run/slurmd-%n.pid\nSlurmctldLogFile={directory}/log/slurmctld.log\n\
         SlurmdLogFile={directory}/log/slurmd-%n.log\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
         JobAcctGatherType=jobacct_gather/none\nAccountingStorageType=accounting_storage/none\nMpiDefault=none\n\
         SchedulerType=sched/backfill\nSchedulerParameters=batch_sched_delay=0,sched_min_interval=0\n\
         SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nReturnToService=2\nSwitchType=switch/none\n\
         SlurmdParameters=config_overrides\nKillWait=5\nMaxArraySize=10001\nMaxJobCount=20000\n{nodes}\
         PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES\n",
        controller = ports[0],
    )
}

impl<M: Machine> Hosts<M> {
    /// Starts a Slurm whose nodes are the hosts, and puts `on-node` on the planner's PATH.
    pub(super) fn start_slurm(&mut self, programs: &Programs) {
        let slurm = Slurm::start(programs, self.planner.world());
        let conf = slurm.directory.join("slurm.conf");
        self.planner.world_mut().set("SLURM_CONF", conf.to_str().unwrap());
        let cases: String = NAMES
            .iter()
            .map(|name| {
                let enter = self.host(name).world().path("enter");
                format!("n{}) exec {} \"$@\" ;;\n", &name[1..], enter.display())
            })
            .collect();
        self.script("on-node", &format!("#!/bin/sh\ncase $SLURMD_NODENAME in\n{cases}esac\nexit 1\n"));
        self.slurm = Some(slurm);
    }
}
