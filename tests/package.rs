//! The Debian package and the archive: made from the executables of the tests, installed in a clean root, used
//! there, and removed without a trace.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use codex_agent_shared::plugin::TOOLS;

use crate::world::terminal::Terminal;
use crate::world::{Ran, World, bins, is_root, ran};

/// The paths below a directory.
fn tree(directory: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            all.extend(tree(&path));
        }
        all.insert(path);
    }
    all
}

/// The crate as it is published has no scripts.
fn has_script() -> bool {
    let has = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/package").exists();
    if !has {
        println!("there is no .ci/package here: not tried");
    }
    has
}

fn package(world: &World, out: &Path) -> Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/package");
    let mut command = world.command(script.to_str().unwrap());
    command.arg("--bin").arg(bins()).arg("--out").arg(out).arg("--fast");
    // The licence texts are in the sources that cargo has fetched for this user.
    for name in ["HOME", "PATH", "CARGO_HOME", "RUSTUP_HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    ran::finish(command.env("SOURCE_DATE_EPOCH", "1764000000"))
}

#[test]
fn the_package_is_installed_used_and_removed_without_a_trace() {
    let world = World::new();
    if !has_script() {
        return;
    }
    if !Path::new("/usr/bin/dpkg-deb").exists() || !is_root() {
        println!("there is no dpkg here, or this is not root: not tried");
        return;
    }
    let ran = package(&world, &world.path("one"));
    ran.succeeds();
    let files: Vec<&str> = ran.out.lines().collect();
    let [deb, archive] = files[..] else { panic!("{}", ran.out) };

    // A clean root has nothing but the records of an empty dpkg.
    let root = world.path("root");
    for directory in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for file in ["status", "available"] {
        fs::write(root.join("var/lib/dpkg").join(file), "").unwrap();
    }
    let dpkg = |words: &[&str]| {
        let root = format!("--root={}", root.display());
        let log = format!("--log={}", world.path("dpkg.log").display());
        let mut line = vec!["dpkg", &root, &log, "--force-script-chrootless"];
        line.extend(words);
        let mut command = world.command(line[0]);
        command.args(&line[1..]).env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    dpkg(&["--install", deb]);

    let usr = root.join("usr");
    let tools: Vec<String> = std::iter::once("codex-agent".to_owned())
        .chain(TOOLS.iter().map(|(name, ..)| format!("codex-agent-{name}")))
        .collect();
    for tool in &tools {
        let ran = world.run(&[usr.join("bin").join(tool).to_str().unwrap(), "--version"]);
        ran.succeeds().prints(format!("{tool} {}\n", env!("CARGO_PKG_VERSION")));
        for file in [
            format!("share/man/man1/{tool}.1.gz"),
            format!("share/bash-completion/completions/{tool}"),
            format!("share/fish/vendor_completions.d/{tool}.fish"),
        ] {
            assert!(usr.join(&file).is_file(), "{file}");
        }
    }
    assert!(usr.join("share/zsh/vendor-completions/_codex-agent").is_file());
    assert_eq!(
        fs::read_to_string(usr.join("share/codex-agent/slurm-array.sh")).unwrap(),
        include_str!("../share/slurm-array.sh")
    );
    // Each page of the tree is in it, and nothing is anybody's but root's.
    let pages = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("man")).unwrap().flatten();
    for page in pages.map(|page| page.file_name().into_string().unwrap()) {
        let section = page.rsplit('.').next().unwrap();
        assert!(usr.join(format!("share/man/man{section}/{page}.gz")).is_file(), "{page}");
    }
    let all = tree(&usr);
    for path in &all {
        use std::os::unix::fs::MetadataExt;
        let meta = path.symlink_metadata().unwrap();
        // A link has no mode of its own.
        let writable = if meta.is_symlink() { 0 } else { meta.mode() & 0o022 };
        assert_eq!((meta.uid(), writable), (0, 0), "{}", path.display());
    }

    // man finds the page there, and TAB completes there.
    if Path::new("/usr/bin/man").exists() {
        let pages = usr.join("share/man");
        let ran = world.run(&["man", "-M", pages.to_str().unwrap(), "codex-agent-group"]);
        ran.succeeds().shows("manage and run named groups of sessions");
    }
    let mut bash = world.command("bash");
    bash.args(["--norc", "--noprofile", "-i"]).env("PS1", "ready> ");
    bash.env("PATH", format!("{}:/usr/bin:/bin", usr.join("bin").display()));
    let mut terminal = Terminal::open(bash, 100, 24);
    terminal.until("ready> ");
    let directory = usr.join("share/bash-completion/completions");
    terminal.press(&format!("for f in {}/*; do . $f; done\n", directory.display()));
    terminal.until("ready> ");
    terminal.press("codex-agent que\t");
    terminal.until("codex-agent queue");
    terminal.press(" unp\t");
    terminal.until("unpause");
    // Ctrl-U empties the line.
    terminal.press("\u{15}exit\n");
    terminal.end();

    dpkg(&["--purge", "codex-agent"]);
    let left: Vec<PathBuf> =
        tree(&root).into_iter().filter(|path| !path.starts_with(root.join("var"))).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    let status = fs::read_to_string(root.join("var/lib/dpkg/status")).unwrap();
    assert!(!status.contains("codex-agent"), "{status}");

    // The archive has the same tree, and the licences.
    let unpacked = world.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let ran = world.run(&["tar", "-xJf", archive, "-C", unpacked.to_str().unwrap()]);
    ran.succeeds();
    let top = fs::read_dir(&unpacked).unwrap().next().unwrap().unwrap().path();
    let strip = |all: BTreeSet<PathBuf>, from: &Path| -> BTreeSet<PathBuf> {
        all.into_iter().map(|path| path.strip_prefix(from).unwrap().to_owned()).collect()
    };
    // zsh looks for those of the site elsewhere than for Debian's; lintian and dpkg are of no use there.
    let is_debians = |path: &PathBuf| {
        let path = path.to_str().unwrap();
        path.contains("lintian") || path.ends_with("changelog.Debian.gz") || path.ends_with("copyright")
    };
    let mut want = strip(all, &usr);
    want.retain(|path| !is_debians(path));
    let elsewhere =
        |path: &Path| PathBuf::from(path.to_str().unwrap().replace("vendor-completions", "site-functions"));
    want = want.iter().map(|path| elsewhere(path)).collect();
    want.extend(["LICENSE-MIT", "LICENSE-APACHE"].map(|name| Path::new("share/doc/codex-agent").join(name)));
    assert_eq!(strip(tree(&top), &top), want);
    // cargo-binstall finds the archive and the executables in it by these templates.
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let name = archive.rsplit('/').next().unwrap();
    let target = name.strip_prefix(concat!("codex-agent-", env!("CARGO_PKG_VERSION"), "-")).unwrap();
    let target = target.strip_suffix(".tar.xz").unwrap();
    assert!(target.contains("-linux-"), "{target}");
    let template = |key: &str| {
        let start = format!("{key} = \"");
        let value =
            manifest.lines().find_map(|line| line.strip_prefix(&start)).unwrap().trim_end_matches('"');
        let value = value.replace("{ version }", env!("CARGO_PKG_VERSION"));
        value.replace("{ target }", target).replace("{ bin }", "codex-agent-ls")
    };
    assert_eq!(template("pkg-url").rsplit('/').next().unwrap(), name);
    assert!(unpacked.join(template("bin-dir")).is_file(), "{}", template("bin-dir"));
    let ran = world.run(&[top.join("bin/codex-agent").to_str().unwrap(), "ls", "--version"]);
    ran.succeeds();
    assert!(ran.out.starts_with("codex-agent-ls "), "{}", ran.err);

    // The notices name a package of Rust, and have the text of a C library within one.
    let notices =
        world.run(&["gzip", "-dc", top.join("share/doc/codex-agent/THIRD-PARTY.gz").to_str().unwrap()]).out;
    assert!(notices.contains("\nrusqlite ") && notices.contains("\n-- zstd/LICENSE\n"), "{notices:.300}");
    let mut sums = world.command("sha256sum");
    sums.args(["--check", "--strict", "SHA256SUMS"]).current_dir(world.path("one"));
    assert!(sums.status().unwrap().success());

    // A second build of the package is the same, to the byte.
    let again = package(&world, &world.path("two"));
    for (one, two) in files.iter().zip(again.out.lines()) {
        assert!(fs::read(one).unwrap() == fs::read(two).unwrap(), "{one}");
    }
}

#[test]
fn a_missing_file_is_named() {
    if !has_script() {
        return;
    }
    let world = World::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/package");
    let run = |words: &[&str]| world.run(&[&[script.to_str().unwrap()], words].concat());
    let ran = run(&[
        "--bin",
        world.path("nothing").to_str().unwrap(),
        "--out",
        world.path("out").to_str().unwrap(),
    ]);
    ran.exits(2).reports("there is no executable '");
    assert!(!world.path("out").exists());
    let ran = run(&["--nonsense"]);
    ran.exits(2).reports("usage: .ci/package");
}
