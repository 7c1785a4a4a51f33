//! Standard input and output: bad lines, closed and endless pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::world::fake::{crash, end};
use crate::world::rollouts::{id, with_rollouts};

#[test]
fn an_invalid_line_of_standard_input_changes_no_group() {
    let world = with_rollouts(3);
    let good = format!(r#"{{"type":"session","id":"{}"}}"#, id(0));
    let cases: [(Vec<u8>, &str, &str); 9] = [
        (format!("{good}\n{}", &good[..30]).into(), "stdin:2", "EOF"),
        (format!("{good}\n{{oops}}\n{good}\n").into(), "stdin:2", "key must be a string"),
        (format!("\n{good}\n\n{{\"type\":\"session\"}}\n").into(), "stdin:4", "id"),
        (b"{\"type\":\"session\",\"id\":5}\n".to_vec(), "stdin:1", "id"),
        (b"{\"type\":\"session\",\"id\":\"x\"}\n".to_vec(), "stdin:1", "x"),
        ([good.as_bytes(), b"\n\xff\xfe\x00\n"].concat(), "stdin:2", "UTF-8"),
        ([good.as_bytes(), b"\n{\"id\":\"\xff\"}\n"].concat(), "stdin:2", "unicode"),
        (b"\x89PNG\r\n\x1a\n\x00\x00".to_vec(), "stdin:1", "UTF-8"),
        (format!("{good}\n<html>\n").into(), "stdin:2", "<html>"),
    ];
    for (input, place, why) in cases {
        for words in [
            &["codex-agent-group", "add", "work", "-"][..],
            &["codex-agent-group", "add", "work", "--unchecked"],
        ] {
            let ran = world.feed(words, &input);
            let shown = String::from_utf8_lossy(&input).into_owned();
            // Text that might be a reference and is none is "not found" where it is looked up.
            let code = if why == "<html>" && words.contains(&"-") { 1 } else { 2 };
            ran.case(&shown).exits(code).prints("");
            ran.case(&shown).reports(place).reports(why);
            ran.case(&shown).reports("nothing was changed");
            assert!(!world.config("groups.json").exists(), "{shown}");
        }
    }
}

#[test]
fn find_prints_the_valid_lines_and_exits_with_2() {
    let world = with_rollouts(3);
    let record = |number| format!(r#"{{"type":"session","id":"{}"}}"#, id(number));
    let cut = &record(2)[..30];
    for (input, place) in [
        (format!("{}\n{{oops\n{}\n", record(0), record(1)), "stdin:2"),
        (format!("{}\n{}\n{cut}", record(0), record(1)), "stdin:3"),
        (format!("{}\r\n\r\n{{}}\r\n{}\r\n", id(0), record(1)), "stdin:3"),
    ] {
        for words in [&["codex-agent-find", "-"][..], &["codex-agent-find", "-", "--json"]] {
            let ran = world.feed(words, &input);
            ran.case(&input).exits(2);
            assert_eq!(ran.out.lines().count(), 2, "{input}: {}", ran.out);
            ran.case(&input).shows(id(0)).shows(id(1));
            ran.case(&input).reports(place);
            assert!(ran.err.lines().count() == 1, "{input}: {}", ran.err);
        }
    }
}

#[test]
fn a_closed_standard_input_counts_as_empty() {
    let world = with_rollouts(3);
    let find = world.sh("exec codex-agent-find - <&-");
    find.exits(1).prints("");
    let add = world.sh("exec codex-agent-group add work - <&-");
    add.succeeds().prints("");
    add.reports("no sessions were read");
    world.sh("exec codex-agent-ls <&- >&-").succeeds();
}

#[test]
fn an_endless_input_ends_with_its_reader() {
    let world = with_rollouts(3);
    let other = r#"{"type":"note","text":"of another tool"}"#;
    for (what, flag) in [(id(0), ""), (other.to_owned(), "--json"), (id(0), "--json")] {
        // The reader takes one line and goes away. What never changes is printed once or for ever.
        let mut yes = world.command("yes").arg(&what).stdout(Stdio::piped()).spawn().unwrap();
        let mut command = world.command("codex-agent-find");
        command.arg("-").args(Some(flag).filter(|flag| !flag.is_empty()));
        command.stdin(yes.stdout.take().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut find = command.spawn().unwrap();
        drop(command);
        let mut line = String::new();
        let mut reader = BufReader::new(find.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        assert!(line.contains(&id(0)) || line.trim() == other, "{line}");
        drop(reader);
        let mut stderr = find.stderr.take().unwrap();
        let code = end(&mut find);
        crash(&mut yes);
        assert!([0, 141].contains(&code), "{what} {flag}: {code}");
        let mut err = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut err).unwrap();
        assert_eq!(err, "", "{what} {flag}");
    }
}

#[test]
fn records_are_printed_before_more_input_arrives() {
    let world = with_rollouts(3);
    let mut find = world
        .command("codex-agent-find")
        .args(["-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = find.stdin.take().unwrap();
    let mut lines = BufReader::new(find.stdout.take().unwrap()).lines();
    for number in 0..3 {
        writeln!(stdin, "{}", id(number)).unwrap();
        // A tool that waited for the end of its input would wait for us, and we for it.
        assert!(lines.next().unwrap().unwrap().contains(&id(number)));
    }
    drop(stdin);
    assert_eq!(end(&mut find), 0);
}
