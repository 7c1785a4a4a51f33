//! The interpreter line of a script, and the reasons why no interpreter can run the script.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{find_program, is_executable};

/// The reason why the interpreter in the first line of a script, or the program that env(1) would run for it, cannot be
/// run. The file is opened.
pub fn wrong_interpreter(path: &Path) -> Option<String> {
    let mut first = Vec::new();
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = fs::File::options().read(true).custom_flags(flags).open(path).ok()?;
    file.take(256).read_to_end(&mut first).ok()?;
    let line = first.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim_matches([' ', '\t']);
    // The system splits words at blanks and TABs only; a carriage return is a part of a word.
    let (interpreter, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let file = Path::new(interpreter);
    let (name, why) = if !file.exists() {
        (interpreter, "which does not exist")
    } else if file.is_dir() {
        (interpreter, "which is a directory")
    } else if file.is_absolute() && !is_executable(file) {
        (interpreter, "which is not executable")
    } else {
        let program = program_of_env(rest).filter(|_| interpreter.ends_with("/env"))?;
        let is_missing = !program.contains('/') && find_program(program).is_none();
        (is_missing || program.ends_with('\r')).then_some((program, "which does not exist"))?
    };
    Some(match name.strip_suffix('\r') {
        Some(name) => {
            format!(
                "its first line names '{name}', which ends in a carriage return, as in files from Windows"
            )
        }
        None => format!("its first line names '{name}', {why}"),
    })
}

/// The program that env(1) runs; `None` if it is unknown.
fn program_of_env(arguments: &str) -> Option<&str> {
    // env(1) has its own rules for quotes, backslashes and variables.
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
