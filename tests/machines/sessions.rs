//! Prompts for sessions of hosts: `resume`, `fork` and groups.

use serde_json::Value;

use crate::machines::homes::{Homes, of_type};
use crate::world::hosts::Hosts;
use crate::world::json as records;

/// Begins a session on a host, and gives its id.
fn begin(homes: &Homes, name: &str, prompt: &str) -> String {
    let ran = homes.run_on(name, &["run", "--json", "-p", prompt]);
    ran.exits(0);
    of_type(&records(&ran.out), "job.completed")[0]["session"].as_str().unwrap().to_owned()
}

/// The messages of the user in a session of a host.
fn messages(homes: &Homes, name: &str, id: &str) -> Vec<String> {
    let ran = homes.run_on(name, &["show", id, "--json", "--only", "user"]);
    ran.exits(0);
    records(&ran.out).iter().filter_map(|item| Some(item["text"].as_str()?.to_owned())).collect()
}

#[test]
fn a_session_is_resumed_on_its_host_however_it_is_named() {
    let homes = Homes::new(&["a", "b"]);
    let (one, two) = (begin(&homes, "a", "first of a"), begin(&homes, "b", "first of b"));
    homes.0.tool(&["resume", &format!("a:{one}"), "--prompt", "second of a"]).exits(0);
    homes.0.tool(&["resume", &one, "--on", "a", "--prompt", "third of a"]).exits(0);
    let listed = homes.0.good(&["ls", "--host", "a,b", "--json"]);
    homes.0.feed(&["resume", "--prompt", "for both", "-"], &listed).exits(0);
    let rows = homes.0.good(&["ls", "--host", "b"]);
    homes.0.feed(&["resume", "--prompt", "by its row", "-"], &rows).exits(0);
    homes.0.tool(&["resume", &format!("a:{}", &one[24..]), "--prompt", "by its end"]).exits(0);
    assert_eq!(
        messages(&homes, "a", &one),
        ["first of a", "second of a", "third of a", "for both", "by its end"]
    );
    assert_eq!(messages(&homes, "b", &two), ["first of b", "for both", "by its row"]);
    assert!(!homes.0.0.codex_home().join("sessions").exists());
    homes.0.tool(&["resume", "a:nothing", "--prompt", "go on"]).exits(1).reports("no session 'nothing'");
    homes.0.tool(&["resume", &two, "--on", "a,b", "--prompt", "go on"]).exits(2).reports("unknown which");
    let foreign = listed.replace("\"host\":\"a\"", "\"host\":\"elsewhere\"");
    let ran = homes.0.feed(&["resume", "--prompt", "go on", "-"], &foreign);
    ran.exits(2).reports("unknown host 'elsewhere'").reports("nothing was started");
    homes
        .0
        .tool(&["resume", &two, "--on", "a", "--prompt", "go on"])
        .exits(1)
        .shows("not_found: Codex has no session");
    assert_eq!(messages(&homes, "b", &two).len(), 3);
}

#[test]
fn the_tui_is_opened_on_the_host_of_a_session() {
    let homes = Homes::new(&["a"]);
    let one = begin(&homes, "a", "first of a");
    homes.append("[host.far]\ncommand = \"/opt/codex-agent\"\n");
    let printed = homes.0.good(&["resume", &format!("far:{one}"), "--print"]);
    assert!(printed.starts_with("ssh -t -o 'BatchMode=yes'"), "{printed}");
    assert!(printed.trim_end().ends_with(&format!("-- far /opt/codex-agent resume {one}")), "{printed}");
    // The tool there, on this machine.
    let printed = homes.0.good(&["resume", &format!("a:{}", &one[24..]), "--print"]);
    assert!(printed.starts_with("env ") && printed.contains(&one), "{printed}");
    homes.0.tool(&["resume", &format!("a:{one}"), "--model", "m"]).exits(2).reports("host 'a'");
}

#[test]
fn a_session_is_forked_on_its_host() {
    let homes = Homes::new(&["a"]);
    let one = begin(&homes, "a", "first of a");
    homes.0.tool(&["fork", &format!("a:{one}"), "-n", "2", "--prompt", "try again"]).exits(0);
    assert_eq!(messages(&homes, "a", &one), ["first of a"]);
    let listed = records(&homes.run_on("a", &["ls", "--json", "--full"]).out);
    let forks: Vec<&Value> = listed.iter().filter(|session| session["forked_from"] == one.as_str()).collect();
    assert_eq!(forks.len(), 2, "{listed:?}");
    for fork in forks {
        assert_eq!(messages(&homes, "a", fork["id"].as_str().unwrap()).last().unwrap(), "try again");
    }
    homes.0.tool(&["fork", &format!("a:{one}"), "--name", "n", "--prompt", "x y"]).exits(2).reports("--name");
}

/// The same session on two hosts, as a program that copies homes leaves it, is two sessions.
#[test]
fn one_id_on_two_hosts_is_two_sessions() {
    let homes = Homes::new(&["a", "b"]);
    let one = begin(&homes, "a", "first of a");
    crate::world::copy(&homes.0.0.path("a/codex"), &homes.0.0.path("b/codex"));
    // The database has the paths of the other home.
    for name in ["state_5.sqlite", "state_5.sqlite-wal", "state_5.sqlite-shm"] {
        let _ = std::fs::remove_file(homes.0.0.path("b/codex").join(name));
    }
    let listed = homes.0.good(&["ls", "--host", "a,b", "--json"]);
    assert_eq!(listed.matches(&one).count() / listed.lines().next().unwrap().matches(&one).count(), 2);
    homes.0.feed(&["resume", "--prompt", "for both", "-"], &listed).exits(0);
    for name in ["a", "b"] {
        assert_eq!(messages(&homes, name, &one), ["first of a", "for both"], "{name}");
    }
}

/// A group whose sessions are on three hosts, of which one is down for a while.
#[test]
fn the_sessions_of_a_group_are_resumed_on_their_hosts() {
    let Some(mut hosts) = Hosts::over_ssh() else { return };
    for name in ["h1", "h2", "h3"] {
        for number in [1, 2] {
            hosts.run_on(name, &["codex-agent-run", &format!("begin {number} of {name}")]).succeeds();
        }
    }
    hosts.planner.0.write(
        "home/.config/codex-agent/config.toml",
        "[host.h1]\nmax_concurrent = 2\n[host.h2]\nmax_concurrent = 2\n[host.h3]\nmax_concurrent = 2\n",
    );
    let listed = hosts.run(&["codex-agent-ls", "--host", "h1,h2,h3", "--json"]);
    listed.exits(0);
    assert_eq!(records(&listed.out).len(), 6);
    hosts.feed(&["codex-agent-group", "add", "far"], &listed.out).exits(0);
    hosts.stop_sshd("h3");
    let ran = hosts.run(&["codex-agent-group", "run", "far", "--prompt", "go on", "--json"]);
    ran.exits(75).reports("host 'h3'").reports("Connection refused").reports("stopped (host), 2 jobs left");
    let events = records(&ran.out);
    assert_eq!(of_type(&events, "job.completed").len(), 4);
    assert_eq!(events.last().unwrap()["why"], "host");
    hosts.start_sshd("h3");
    let ran = hosts.run(&["codex-agent-run", "continue", "--json"]);
    ran.exits(0);
    assert_eq!(of_type(&records(&ran.out), "job.completed").len(), 2, "{}", ran.out);
    for (name, prompts) in ["h1", "h2", "h3"].iter().zip(hosts.prompts()) {
        let wanted =
            [format!("begin 1 of {name}"), format!("begin 2 of {name}"), "go on".into(), "go on".into()];
        assert_eq!(prompts, wanted, "{name}");
        let listed = records(&hosts.run_on(name, &["codex-agent-ls", "--json", "--fields", "id,turns"]).out);
        assert!(listed.iter().all(|session| session["turns"] == 2), "{listed:?}");
    }
    assert!(!hosts.planner.0.codex_home().join("sessions").exists());
}

/// The usage limit of this machine is no reason to leave the sessions of hosts.
#[test]
fn a_limit_here_leaves_the_sessions_of_hosts_alone() {
    let homes = Homes::new(&["a"]);
    let mut ids = vec![homes.0.begin("first here"), homes.0.begin("second here")];
    for number in 0..3 {
        ids.push(format!("a:{}", begin(&homes, "a", &format!("number {number} of a"))));
    }
    homes.0.tool(&["run", "reach the LIMIT3600"]).exits(75);
    homes
        .0
        .good(&[&["group", "add", "both"][..], &ids.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    let words = ["group", "run", "both", "-j", "1", "--json", "--prompt", "go on"];
    let ran = homes.0.tool(&words);
    ran.exits(75).reports("this machine gets no more jobs until ").reports("2 jobs left");
    let events = records(&ran.out);
    assert_eq!(of_type(&events, "job.completed").len(), 3, "{}", ran.out);
    assert!(of_type(&events, "job.completed").iter().all(|event| event["host"] == "a"));
    let last = events.last().unwrap();
    assert_eq!((&last["why"], &last["left"]), (&"usage_limit".into(), &2.into()), "{}", ran.out);
    assert!(last["until"].is_string(), "{}", ran.out);
    let sent = homes.0.prompts().len();
    homes.0.tool(&["run", "continue", "--on-limit", "try", "--yes"]).exits(0);
    assert_eq!((homes.0.prompts().len(), homes.prompts("a").len()), (sent + 2, 6));
}

/// While this machine waits for its limit, the host works.
#[test]
fn a_wait_for_a_limit_here_delays_no_session_of_a_host() {
    let homes = Homes::new(&["a"]);
    let here = homes.0.begin("first here");
    let there = format!("a:{}", begin(&homes, "a", "first of a"));
    homes.0.tool(&["run", "reach the LIMIT12"]).exits(75);
    homes.0.good(&["group", "add", "both", &here, &there]);
    let ran = homes.0.tool(&["group", "run", "both", "--json", "--prompt", "go on", "--on-limit", "wait"]);
    ran.exits(0).reports("waiting: ");
    let events = records(&ran.out);
    let done = of_type(&events, "job.completed");
    assert_eq!(
        (done.len(), &done[0]["host"], &done[1]["host"]),
        (2, &"a".into(), &Value::Null),
        "{}",
        ran.out
    );
    let end = done[0]["at"].as_str().unwrap();
    let waiting = of_type(&events, "run.waiting")[0];
    assert!(end < waiting["until"].as_str().unwrap(), "{}", ran.out);
}

/// A job of the run itself reaches the limit here, which resets while a host still works.
#[test]
fn a_limit_here_that_resets_during_the_run_delays_only_the_jobs_here() {
    let homes = Homes::new(&["a"]);
    let job = |id: u32, prompt: &str, host: &str| {
        format!("{{\"type\":\"job\",\"id\":\"{id}\",\"prompt\":\"{prompt}\"{host}}}\n")
    };
    let on = ",\"host\":\"a\"";
    let jobs = job(1, "reach the LIMIT2", "") + &job(2, "another one", "") + &job(3, "far SLEEP9", on);
    let mut command = homes.0.started(&["run", "--jobs", "-j", "1", "--json"]);
    let ran = crate::world::ran::feed(&mut command, &jobs);
    ran.exits(0).reports("this machine gets no more jobs until ");
    let events = records(&ran.out);
    assert_eq!(of_type(&events, "job.completed").len(), 3, "{}", ran.out);
    let mut sent = homes.0.prompts();
    sent.sort();
    assert_eq!(sent, ["another one", "reach the LIMIT2", "reach the LIMIT2"], "{}", ran.out);
    assert_eq!(homes.prompts("a"), ["far SLEEP9"]);
    // If all hosts have ended before the limit resets, the jobs of this machine are left.
    let homes = Homes::new(&["a"]);
    let jobs = job(1, "reach the LIMIT900", "") + &job(2, "another two", "") + &job(3, "far", on);
    let mut command = homes.0.started(&["run", "--jobs", "-j", "1", "--json"]);
    let ran = crate::world::ran::feed(&mut command, &jobs);
    ran.exits(75).reports("2 jobs left");
    assert_eq!(homes.prompts("a"), ["far"]);
}

/// Words that belong to another flag or another tool are answered with what was meant, and a dry run has the hosts.
#[test]
fn slips_about_hosts_are_answered() {
    let homes = Homes::new(&["a", "b"]);
    let refused = |words: &[&str], text: &str| {
        let ran = homes.0.tool(words);
        assert_ne!(ran.code, 0, "{words:?}");
        ran.case(words).reports(text);
    };
    refused(&["run", "--host", "a", "-p", "x"], "did you mean '--on'?");
    refused(&["group", "run", "g", "--host", "a"], "did you mean '--on'?");
    refused(&["ls", "--on", "a"], "did you mean '--host a'?");
    refused(&["show", "laptop:01a22204-15c6-74c1-9d4e-3ef4c29afb87"], "'--host laptop' asks a host");
    refused(&["resume", "laptop:0123", "-p", "x"], "'--host laptop' asks a host");
    refused(&["config", "unset", "host.a"], "config edit");
    let plain = homes.0.tool(&["show", "0123abcd:4"]);
    assert!(!plain.err.contains("--host"), "{}", plain.err);
    for word in ["hosts", "host", "slurm"] {
        let page = homes.0.0.ok(&["codex-agent", "help", word]);
        assert!(page.contains("codex-agent-distributed"), "{word}: {page}");
    }
    let planned = homes.0.tool(&["run", "--on", "a:2", "--dry-run", "-p", "x"]);
    planned.exits(0).reports("'a' (2 at a time)");
    let job = &records(&planned.out)[0];
    assert_eq!((&job["host"], &job["codex_home"]), (&"a".into(), &Value::Null), "{}", planned.out);
    let planned = homes.0.tool(&["run", "--on", "a,b", "-j", "4", "--dry-run", "-p", "x"]);
    planned.exits(0).reports("'a' (4 at a time), 'b' (4 at a time)");
    assert_eq!(records(&planned.out)[0]["host"], Value::Null, "{}", planned.out);
    // The plan is what the hosts carry out.
    let planned = homes.0.good(&["run", "--on", "b", "--dry-run", "-p", "planned"]);
    homes.0.feed(&["run", "--jobs", "--on", "b"], &planned).exits(0);
    assert_eq!(homes.prompts("b"), ["planned"]);
}

/// A session stays on its host, whichever hosts a continued run has, and a host that is gone ends its jobs.
#[test]
fn a_session_of_a_host_that_was_down_waits_for_it_or_is_given_up() {
    let homes = Homes::new(&["a", "b"]);
    let (one, two) = (begin(&homes, "a", "first of a"), begin(&homes, "b", "first of b"));
    homes.0.good(&["group", "add", "both", &format!("a:{one}"), &format!("b:{two}")]);
    let path = "home/.config/codex-agent/config.toml";
    let config = std::fs::read_to_string(homes.0.0.path(path)).unwrap();
    let down = config.replacen("\"env\", ", "\"false\", ", 1);
    let ran = homes.0.tool(&["ls", "--group", "both"]);
    ran.exits(0).reports("without 2 sessions of hosts");
    for is_gone in [false, true] {
        homes.0.0.write(path, &down);
        homes.0.tool(&["group", "run", "both", "--prompt", "go on"]).exits(75).reports("1 job left");
        homes.0.tool(&["run", "continue", "--on", "b", "--yes"]).exits(75).reports("host 'a'");
        if is_gone {
            homes.0.tool(&["run", "continue", "--give-up", "a", "--yes"]).exits(1).reports("1 job failed");
            homes.0.tool(&["run", "continue", "--yes"]).reports("there is no unfinished run");
        } else {
            homes.0.0.write(path, &config);
            homes.0.tool(&["run", "continue", "--yes"]).exits(0);
        }
    }
    assert_eq!((homes.prompts("a").len(), homes.prompts("b").len()), (2, 3));
}
