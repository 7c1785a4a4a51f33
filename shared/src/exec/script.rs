//! The first line of a script: who is to read it, and why nobody can.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{find_program, is_executable};

/// Why the interpreter that the first line of a script names cannot be run, be it by way of env(1). The file is
/// opened.
pub fn wrong_interpreter(path: &Path) -> Option<String> {
    let mut first = Vec::new();
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = fs::File::options().read(true).custom_flags(flags).open(path).ok()?;
    file.take(256).read_to_end(&mut first).ok()?;
    let line = first.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim_matches([' ', '\t']);
    // Only these end a word for the system; a carriage return is a part of it.
    let (interpreter, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let is_named = |what: &str, why: &str| Some(format!("its first line names '{what}', {why}"));
    if !Path::new(interpreter).exists() {
        return match interpreter.strip_suffix('\r') {
            Some(before) => is_named(before, "which ends in a carriage return, as in files from Windows"),
            None => is_named(interpreter, "which does not exist"),
        };
    }
    if Path::new(interpreter).is_dir() {
        return is_named(interpreter, "which is a directory");
    }
    if interpreter.starts_with('/') && !is_executable(Path::new(interpreter)) {
        return is_named(interpreter, "which is not executable");
    }
    let asked = interpreter.ends_with("/env").then(|| asked_of_env(rest)).flatten()?;
    match asked.strip_suffix('\r') {
        Some(before) => is_named(before, "which ends in a carriage return, as in files from Windows"),
        None if !asked.contains('/') && find_program(asked).is_none() => {
            is_named(asked, "which does not exist")
        }
        None => None,
    }
}

/// The program that env(1) is to run; `None` where that is unknown.
fn asked_of_env(arguments: &str) -> Option<&str> {
    // What quotes and backslashes come to is env's affair.
    if arguments.contains(['\'', '"', '\\', '$']) {
        return None;
    }
    let mut words = arguments.split([' ', '\t']).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        match word {
            "-u" | "-C" | "--unset" | "--chdir" => drop(words.next()),
            word if word.starts_with('-') || word.contains('=') => {}
            word => return Some(word),
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // What a test looks at must be put there.
mod tests {
    use super::*;

    #[test]
    fn interpreters_that_cannot_be_run_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        for (line, why) in [
            ("#!/bin/sh", None),
            ("#! /bin/sh -e", None),
            ("#!/usr/bin/env sh", None),
            ("#!/usr/bin/env -S -u FOO A=b sh -e", None),
            ("#!/usr/bin/env -S 'no such' x", None),
            ("no script", None),
            ("#!/no/such", Some("'/no/such', which does not exist")),
            ("#!/bin/sh\r", Some("'/bin/sh', which ends in a carriage return")),
            ("#!/usr/bin/env sh\r", Some("'sh', which ends in a carriage return")),
            ("#!/usr/bin/env -S no-such-program -x", Some("'no-such-program', which does not exist")),
            ("#!/tmp", Some("'/tmp', which is a directory")),
            ("#!/etc/passwd", Some("'/etc/passwd', which is not executable")),
        ] {
            fs::write(&script, format!("{line}\necho\n")).unwrap();
            let reported = wrong_interpreter(&script);
            match why {
                None => assert_eq!(reported, None, "{line}"),
                Some(why) => {
                    assert!(
                        reported.as_ref().is_some_and(|reported| reported.contains(why)),
                        "{line}: {reported:?}"
                    )
                }
            }
        }
    }
}
