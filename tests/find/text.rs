//! Finding sessions by text.

use crate::find::references::{ARCHIVED, CHILD, FORK, LOGIN, found_ids};
use crate::world::World;

#[test]
fn all_words_must_occur_in_any_place_and_case() {
    let world = World::with_home("0.169.0");
    for source in ["--color=never", "--no-database"] {
        assert_eq!(found_ids(&world, &[source, "AUTH.rs", "fix"]), [LOGIN], "{source}");
        assert_eq!(found_ids(&world, &[source, "WORK", "alpha"]), [LOGIN], "{source}");
        assert_eq!(found_ids(&world, &[source, "ŽLUŤOUČKÝ"]).len(), 1, "{source}");
        assert_eq!(
            found_ids(&world, &[source, "notes"]),
            ["01a202e0-a01c-7360-aadc-a95de78b050e"],
            "{source}"
        );
        assert_eq!(found_ids(&world, &[source, "--archived", "archive"]), [ARCHIVED], "{source}");
        assert_eq!(found_ids(&world, &[source, "--subagents", "look", "around"]), [CHILD], "{source}");
    }
    assert_eq!(found_ids(&world, &["--last", "login"]), [FORK]);
    assert_eq!(found_ids(&world, &["--words", "login work"]), [LOGIN]);
    for nothing in [
        &["fix", "xyzzy"][..],
        &["archive"],
        &["name:nobody"],
        &["id:ffffffff"],
        &["00000000-0000-7000-8000-000000000000"],
    ] {
        let mut line = vec!["codex-agent-find"];
        line.extend(nothing);
        let ran = world.run(&line);
        ran.case(nothing).exits(1).prints("");
    }
}

#[test]
fn words_filter_the_sessions_of_a_pipe() {
    let world = World::with_home("0.169.0");
    let ran = world.sh("codex-agent-ls --json | codex-agent-find parser - --format '{short}'");
    ran.succeeds().prints("a38a6c50\n");
    let ran = world.sh("codex-agent-ls | codex-agent-find - xyzzy");
    ran.exits(1).prints("");
    let ran = world.sh("codex-agent-ls | codex-agent-find - --last --format '{short}'");
    ran.succeeds().prints("e03ce4e5\n");
}
