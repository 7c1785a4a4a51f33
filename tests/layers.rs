//! The structure of the crates: layers, packages, the table of tools.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A crate: its directory, its layers of modules from the ground up, and the packages that one module may name.
struct Crate {
    root: &'static str,
    layers: &'static [&'static [&'static str]],
    packages: &'static [(&'static str, &'static [&'static str])],
}

/// The layers that the heads of the crates name. A module with more than ten files has inner layers.
const CRATES: [Crate; 3] = [
    Crate {
        root: "shared/src",
        layers: &[
            &["text", "choice", "habit"],
            &["error"],
            &["time", "ndjson", "store", "exec", "child"],
            &["plugin"],
            &["config", "record", "schema"],
            &["host", "query", "terminal"],
            &["codex/home", "codex/names", "codex/rollout", "codex/holder", "codex/version"],
            &["codex/files"],
            &["codex/refusal", "codex/state", "codex/reader"],
            &["codex/index"],
            &["codex/drift", "codex/limits"],
            &["codex"],
            &["transcript/event", "transcript/head", "transcript/order", "transcript/turn_set"],
            &["transcript/record"],
            &["transcript/parse", "transcript/prose", "transcript/tokens", "transcript/stats"],
            &["transcript/state"],
            &["transcript/machine", "transcript/chain"],
            &["transcript/events", "transcript/items", "transcript/tail", "transcript/rollback"],
            &["transcript/responses", "transcript/before"],
            &["transcript/reader"],
            &["transcript/search/kinds", "transcript/search/pattern", "transcript/search/prefilter"],
            &["transcript/search/scan"],
            &["transcript/search"],
            &["transcript/live", "transcript/figures"],
            &["plugin/description", "group", "transcript"],
            &["output"],
            &["watch"],
            &["reference"],
            &["cli/candidates", "cli/selection", "cli/suggestions"],
            &["cli/flag"],
            &["cli/table"],
            &["cli/generate"],
            &["cli/complete"],
            &["cli/flags"],
            &["cli/filters", "cli/pick", "cli/remote", "cli/serve"],
            &["cli"],
            &[""],
        ],
        packages: &[
            ("text", &["unicode_width", "strsim", "shlex"]),
            ("time", &["jiff"]),
            ("ndjson", &["ndjson_stream"]),
            ("exec", &["which"]),
            ("child", &["signal_hook"]),
            ("config/document", &["toml"]),
            ("config/edit", &["toml_edit"]),
            ("record", &["uuid"]),
            ("codex/state", &["rusqlite"]),
            ("codex/files", &["walkdir"]),
            ("codex/rollout", &["zstd"]),
            ("transcript/search", &["regex", "regex_syntax", "aho_corasick"]),
            ("cli", &["lexopt"]),
        ],
    },
    Crate {
        root: "shared/engine/src",
        layers: &[
            &["codex", "record"],
            &["liveness", "clock"],
            &["disk"],
            &["process"],
            &["run/failed", "run/feed", "run/observer", "run/usage_limit"],
            &["run/given", "run/hosts", "run/worker"],
            &["run/engine"],
            &["run/schedule"],
            &["run/transitions"],
            &["run/remote"],
            &["run/ending", "run/plan"],
            &["run"],
            &["queue", "show"],
            &["commands/expiry", "commands/flags", "commands/pending", "commands/run_record"],
            &["commands/slips", "commands/start", "commands/on_end"],
            &["commands/prompts", "commands/run_jobs", "commands/run_queue", "commands/unnamed"],
            &["commands/retry", "commands/targets"],
            &["commands/manage", "commands/send", "commands/worker"],
            &["commands/watch"],
            &["commands/run_once"],
            &["commands"],
            &[""],
        ],
        packages: &[],
    },
    Crate {
        root: "shared/fake/src",
        layers: &[
            &["lock", "output", "table", "version", "words"],
            &["args", "line", "model", "store", "sample"],
            &["history", "worktree"],
            &["thread"],
            &["lines", "rpc"],
            &["exec"],
            &[""],
        ],
        packages: &[("table", &["rusqlite"])],
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
    all
}

/// Whether a module is `outer` or inside of it.
fn is_in(module: &str, outer: &str) -> bool {
    module == outer || module.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

/// Files of tests, which import what they test.
fn is_test(module: &str) -> bool {
    ["tests", "mutations", "transcripts", "faults"].iter().any(|name| module.ends_with(name))
}

impl Crate {
    /// Each module with its code: without comments and without its tests. The root of the crate is "".
    fn modules(&self) -> BTreeMap<String, String> {
        let top = root().join(self.root);
        let code = |file: PathBuf| {
            let inside = file.strip_prefix(&top).unwrap().with_extension("");
            let name = inside.to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&file).unwrap();
            let text = text.split("\n#[cfg(test)]\n").next().unwrap();
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            (if name == "lib" { String::new() } else { name }, lines.join("\n"))
        };
        sources(&top).into_iter().map(code).filter(|(name, _)| !is_test(name)).collect()
    }

    /// The modules that each module imports or names by a path.
    fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let modules = self.modules();
        let targets = |name: &String, code: &String| {
            let paths = paths(code).into_iter().filter_map(|path| absolute(name, &path));
            let found = paths.map(|path| {
                let longest = (0..=path.len()).rev().map(|n| path[..n].join("/"));
                longest.into_iter().find(|part| modules.contains_key(part)).unwrap()
            });
            found.filter(|other| other != name).collect()
        };
        modules.iter().map(|(name, code)| (name.clone(), targets(name, code))).collect()
    }

    /// The layer of a module, and the name that has it: the longest that the module lies in.
    fn layer(&self, module: &str) -> (usize, &'static str) {
        let named =
            self.layers.iter().enumerate().flat_map(|(at, names)| names.iter().map(move |name| (at, *name)));
        let holds = |(_, name): &(usize, &str)| is_in(module, name);
        let found = named.filter(holds).max_by_key(|(_, name)| name.len());
        found.unwrap_or_else(|| panic!("{}: no layer for '{module}'", self.root))
    }
}

/// The paths in code that begin with `crate` or `super`, braces expanded.
fn paths(code: &str) -> Vec<String> {
    let mut all = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &code[at..];
            let mut depth = 0;
            let end = rest.find(|c: char| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth < 0 || (depth == 0 && !c.is_alphanumeric() && !matches!(c, '_' | ':' | '}'))
            });
            expand(&rest[..end.unwrap_or(rest.len())], &mut all);
        }
    }
    all
}

fn expand(path: &str, all: &mut Vec<String>) {
    let Some(open) = path.find('{') else {
        return all.push(path.split(" as ").next().unwrap().trim().to_owned());
    };
    let (mut depth, mut from) = (0, open + 1);
    for (at, c) in path.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || (c == '}' && depth == 0) {
            let part = path[from..at].trim();
            if !part.is_empty() {
                expand(&format!("{}{part}", &path[..open]), all);
            }
            from = at + 1;
        }
    }
}

/// The segments of a path as seen from the root of the crate.
fn absolute(module: &str, path: &str) -> Option<Vec<String>> {
    let mut segments = path.split("::").filter(|segment| !segment.is_empty()).peekable();
    let mut base: Vec<String> = Vec::new();
    match segments.peek()? {
        &"crate" => drop(segments.next()),
        _ => base.extend(module.split('/').map(str::to_owned)),
    }
    while segments.next_if_eq(&"super").is_some() {
        base.pop()?;
    }
    base.extend(segments.filter(|segment| *segment != "self").map(str::to_owned));
    Some(base)
}

#[test]
fn modules_import_only_from_layers_below_their_own() {
    for one in CRATES {
        let mut count = 0;
        for (module, others) in one.imports() {
            for other in others {
                let ((layer, own), (below, name)) = (one.layer(&module), one.layer(&other));
                // A child sees what its parent declares; the parent re-exports its children.
                let is_family = own == name || is_in(&module, &other) || is_in(&other, &module);
                assert!(is_family || below < layer, "{}: '{module}' imports '{other}'", one.root);
                count += 1;
            }
        }
        assert!(count > 20, "{}: only {count} imports were seen", one.root);
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for one in CRATES {
        let mut imports = one.imports();
        // Take away what imports nothing that is left, until nothing is left.
        loop {
            let free: Vec<String> = imports
                .iter()
                .filter(|(_, others)| others.is_empty())
                .map(|(name, _)| name.clone())
                .collect();
            if free.is_empty() {
                break;
            }
            imports.retain(|name, _| !free.contains(name));
            imports.values_mut().for_each(|others| others.retain(|name| !free.contains(name)));
        }
        assert!(imports.is_empty(), "{}: a circle in or below {imports:#?}", one.root);
    }
}

/// The files of an executable in a directory of its own. What all of them share stands in `main`.
#[test]
fn no_files_of_plugin_check_import_each_other_in_a_circle() {
    let root = root().join("bins/codex-agent-plugin/check");
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in sources(&root) {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("\n#[cfg(test)]\n").next().unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let others = paths(code).into_iter().filter_map(|path| absolute(&name, &path)?.first().cloned());
        imports.insert(name.clone(), others.filter(|other| *other != name).collect());
    }
    assert!(imports.values().any(|others| others.contains("sandbox")), "{imports:?}");
    let known: BTreeSet<String> = imports.keys().cloned().collect();
    imports.values_mut().for_each(|others| others.retain(|other| known.contains(other)));
    while let Some(free) = imports.iter().find(|(_, others)| others.is_empty()).map(|(name, _)| name.clone())
    {
        imports.remove(&free);
        imports.values_mut().for_each(|others| others.retain(|other| *other != free));
    }
    assert!(imports.is_empty(), "a circle in or below {imports:#?}");
}

#[test]
fn each_layer_is_named_at_the_head_of_its_crate() {
    for one in CRATES {
        for name in one.layers.iter().flat_map(|names| names.iter()).filter(|name| !name.is_empty()) {
            let (outer, inner) = name.rsplit_once('/').unwrap_or(("lib", name));
            let text =
                std::fs::read_to_string(root().join(one.root).join(outer).with_extension("rs")).unwrap();
            let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
            assert!(
                head.contains(&format!("`{inner}`")) || head.contains(&format!("`mod@{inner}`")),
                "{name}"
            );
        }
        let top = root().join(one.root);
        for file in sources(&top).into_iter().filter(|file| file.with_extension("").is_dir()) {
            let inside = file.strip_prefix(&top).unwrap().with_extension("");
            let module = inside.to_str().unwrap();
            let has_layers = one
                .layers
                .iter()
                .any(|names| names.iter().any(|name| is_in(name, module) && *name != module));
            let files = sources(&file.with_extension("")).len();
            assert!(files <= 10 || has_layers, "'{module}' has {files} files and no layers");
        }
    }
}

#[test]
fn each_package_is_named_in_one_module() {
    for one in CRATES {
        let packages: BTreeSet<&str> =
            one.packages.iter().flat_map(|(_, packages)| packages.iter().copied()).collect();
        for (module, code) in one.modules() {
            for package in &packages {
                let may = one
                    .packages
                    .iter()
                    .any(|(owner, theirs)| theirs.contains(package) && is_in(&module, owner));
                assert!(
                    may || !code.contains(&format!("{package}::")),
                    "{}: '{module}' names {package}",
                    one.root
                );
            }
        }
    }
}

/// Authors of external tools compile a library that neither runs Codex nor can write into its home.
#[test]
fn the_shared_crate_depends_on_neither_engine_nor_fake() {
    let dependencies = |manifest: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(root().join(manifest)).unwrap();
        let text = text.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap().to_owned();
        text.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned()).collect()
    };
    let ours = |names: BTreeSet<String>| -> Vec<String> {
        names.into_iter().filter(|name| name.starts_with("codex-agent")).collect()
    };
    assert_eq!(ours(dependencies("shared/Cargo.toml")), [""; 0]);
    for manifest in ["shared/engine/Cargo.toml", "shared/fake/Cargo.toml"] {
        assert_eq!(ours(dependencies(manifest)), ["codex-agent-shared"], "{manifest}");
    }
    for (module, code) in CRATES[0].modules() {
        // A copy of a database that cannot be read in its place is opened for writing, and nothing else.
        let may_write = module == "codex/state/open";
        assert!(may_write || !code.contains("SQLITE_OPEN_READ_WRITE"), "{module}");
        assert!(!code.contains("Connection::open("), "{module}");
        let runs_codex = ["\"exec\"", "\"app-server\"", "CODEX_FAKE"].iter().any(|word| code.contains(word));
        assert!(!(runs_codex && code.contains("Command::new(")), "{module} runs Codex");
    }
}

/// One module, `disk/progress`, reads the outcome of a job from events. Other files only print or watch events;
/// `run/remote/events` acts on those that a host reports, before they are in the journal.
#[test]
fn only_one_file_replays_the_journal() {
    for (module, code) in CRATES[1].modules() {
        let may_match = [
            "record/event",
            "disk/progress",
            "disk/progress/job",
            "show/events",
            "show/tally",
            "run/remote/events",
        ]
        .contains(&module.as_str());
        let matches = ["JobCompleted {", "JobFailed {", "JobSkipped {"].iter().any(|event| {
            code.match_indices(event).any(|(at, _)| {
                let pattern = &code[at..code[at..].find('}').map_or(code.len(), |end| at + end)];
                pattern.ends_with(".. ") || pattern.contains("withdrawn: true,")
            })
        });
        assert!(may_match || !matches, "'{module}' matches on the events of jobs");
    }
}

#[test]
fn only_the_libraries_name_sqlite() {
    for file in sources(&root().join("bins")) {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("rusqlite"), "{}", file.display());
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
    assert!(!dependencies.contains("rusqlite"));
}

#[test]
fn no_executable_contains_the_generator_of_schemas() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
    assert!(!dependencies.contains("schemars") && !dependencies.contains("\"schema\""));
    let library = std::fs::read_to_string(root().join("shared/Cargo.toml")).unwrap();
    let features = library.lines().find(|line| line.starts_with("default = ")).unwrap();
    let package = library.lines().find(|line| line.starts_with("schemars = ")).unwrap();
    assert!(!features.contains("schema") && package.contains("optional = true"));
}

#[test]
fn executables_are_built_for_unit_tests_where_they_have_some() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for part in manifest.split("[[bin]]").skip(1) {
        let part = part.split("\n\n").next().unwrap();
        let path = Path::new(part.split("path = \"").nth(1).unwrap().split('"').next().unwrap());
        let files = match path.ends_with("main.rs") {
            true => sources(&root().join(path.parent().unwrap())),
            false => vec![root().join(path)],
        };
        let has_tests = files.iter().any(|file| std::fs::read_to_string(file).unwrap().contains("#[test]"));
        assert_eq!(has_tests, !part.contains("test = false"), "{}", path.display());
    }
}

#[test]
fn the_table_of_tools_is_the_tools() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let bins: BTreeSet<String> = manifest
        .split("[[bin]]")
        .skip(1)
        .map(|part| part.split("name = \"").nth(1).unwrap().split('"').next().unwrap().to_owned())
        .collect();
    let table = codex_agent_shared::plugin::TOOLS.iter().map(|(name, ..)| format!("codex-agent-{name}"));
    let table: BTreeSet<String> = table.chain(["codex-agent".to_owned()]).collect();
    assert_eq!(bins, table);
    for (name, ..) in codex_agent_shared::plugin::TOOLS {
        for document in ["README.md", "CHANGELOG.md", "man/codex-agent.7"] {
            let text = std::fs::read_to_string(root().join(document)).unwrap().replace('\\', "");
            assert!(text.contains(&format!("codex-agent-{name}")), "{document} lacks '{name}'");
        }
    }
}

#[test]
fn every_package_builds_with_the_minimum_rust_version() {
    let output = std::process::Command::new(env!("CARGO"))
        // Packages for other systems need not be here.
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform"])
        .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let version = |text: &str| text.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = packages.iter().find(|package| package["name"] == "codex-agent").unwrap();
    let promised = version(ours["rust_version"].as_str().unwrap());
    assert!(packages.len() > 40);
    for package in packages {
        if let Some(needed) = package["rust_version"].as_str() {
            assert!(version(needed) <= promised, "{} needs Rust {needed}", package["name"]);
        }
    }
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let directories =
        ["shared/src", "shared/engine/src", "shared/fake/src", "bins"].map(|folder| root().join(folder));
    for file in directories.iter().flat_map(|folder| sources(folder)) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines: is it really two?", file.display());
    }
}

/// Authors of tools in Rust begin with the head of a module.
#[test]
fn every_module_of_the_shared_crate_has_an_example() {
    let tops: BTreeSet<&str> = CRATES[0]
        .layers
        .iter()
        .flat_map(|names| names.iter())
        .map(|name| name.split('/').next().unwrap())
        .collect();
    for module in tops.into_iter().filter(|name| !name.is_empty()) {
        let text = std::fs::read_to_string(root().join(format!("shared/src/{module}.rs"))).unwrap();
        let head = text.lines().take_while(|line| line.starts_with("//!"));
        assert!(head.into_iter().any(|line| line == "//! ```"), "{module} has no example in its head");
    }
}
