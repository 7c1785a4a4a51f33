//! The shape of the house: layers, packages, the table of tools.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Layer, module, and the packages that only this module may name; as in the head of `lib.rs`.
const LAYERS: [(u8, &str, &[&str]); 21] = [
    (0, "error", &[]),
    (0, "text", &["unicode_width", "strsim"]),
    (1, "time", &["jiff"]),
    (1, "ndjson", &["ndjson_stream"]),
    (1, "store", &[]),
    (1, "plugin", &["which"]),
    (1, "child", &["signal_hook"]),
    (2, "config", &["toml", "shlex"]),
    (2, "record", &["uuid"]),
    (3, "query", &[]),
    (3, "terminal", &[]),
    (4, "codex", &["walkdir", "rusqlite", "zstd"]),
    (5, "reference", &[]),
    (5, "group", &[]),
    (5, "described", &[]),
    (6, "run", &[]),
    (7, "queue", &[]),
    (7, "output", &[]),
    (8, "cli", &["lexopt"]),
    (9, "schema", &[]),
    (10, "lib", &[]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
    all
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The top module that a file belongs to.
fn module(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("shared/src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn layer(module: &str) -> u8 {
    LAYERS.iter().find(|(_, name, _)| *name == module).unwrap_or_else(|| panic!("no layer for {module}")).0
}

#[test]
fn modules_import_only_from_layers_above_their_own() {
    for file in sources(&root().join("shared/src")) {
        let own = module(&file);
        let text = std::fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices("crate::") {
            let other: String =
                text[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // An error prints text made harmless: these two are one layer that knows itself.
            let same_layer = own == other || (own == "error" && other == "text");
            assert!(same_layer || layer(&other) < layer(&own), "{}: {own} imports {other}", file.display());
        }
    }
}

#[test]
fn each_package_is_named_in_one_module() {
    for file in sources(&root().join("shared/src")) {
        let own = module(&file);
        let text = std::fs::read_to_string(&file).unwrap();
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for (_, owner, packages) in LAYERS {
            for package in packages {
                let named = code.contains(&format!("{package}::"));
                assert!(!named || own == owner, "{} names {package}, which is {owner}'s", file.display());
            }
        }
    }
    for (folder, packages) in
        [("codex", &["walkdir", "rusqlite", "zstd"][..]), ("config", &["toml", "shlex"])]
    {
        let tables = sources(&root().join("shared/src").join(folder));
        let names = |package: &str| {
            tables
                .iter()
                .filter(|file| std::fs::read_to_string(file).unwrap().contains(&format!("{package}::")))
                .count()
        };
        for package in packages {
            assert_eq!(names(package), 1, "{package} is named in more than one module below {folder}");
        }
    }
}

#[test]
fn only_the_library_names_sqlite() {
    for file in sources(&root().join("bins")) {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("rusqlite"), "{}", file.display());
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
    assert!(!dependencies.contains("rusqlite"));
}

#[test]
fn no_executable_carries_the_generator_of_schemas() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
    assert!(!dependencies.contains("schemars") && !dependencies.contains("\"schema\""));
    let library = std::fs::read_to_string(root().join("shared/Cargo.toml")).unwrap();
    let features = library.lines().find(|line| line.starts_with("default = ")).unwrap();
    let package = library.lines().find(|line| line.starts_with("schemars = ")).unwrap();
    assert!(!features.contains("schema") && package.contains("optional = true"));
}

#[test]
fn the_table_of_tools_is_the_tools() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let bins: BTreeSet<String> = manifest
        .split("[[bin]]")
        .skip(1)
        .map(|part| part.split("name = \"").nth(1).unwrap().split('"').next().unwrap().to_owned())
        .collect();
    let table = codex_agent_shared::plugin::TOOLS.iter().map(|(name, _)| format!("codex-agent-{name}"));
    let table: BTreeSet<String> = table.chain(["codex-agent".to_owned()]).collect();
    assert_eq!(bins, table);
    let dispatcher = std::fs::read_to_string(root().join("bins/codex-agent.rs")).unwrap();
    for (name, about) in codex_agent_shared::plugin::TOOLS {
        for document in ["README.md", "CHANGELOG.md", "man/codex-agent.7"] {
            let text = std::fs::read_to_string(root().join(document)).unwrap().replace('\\', "");
            assert!(text.contains(&format!("codex-agent-{name}")), "{document} lacks '{name}'");
        }
        assert!(
            dispatcher.contains(&format!("    {name:8}{about}")),
            "the dispatcher's manual lacks '{name}'"
        );
    }
}

#[test]
fn every_package_is_content_with_the_oldest_rust_we_promise() {
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
fn files_stay_short_enough_to_be_one_thing() {
    let folders = ["shared/src", "bins"].map(|folder| root().join(folder));
    for file in folders.iter().flat_map(|folder| sources(folder)) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines: is it really two?", file.display());
    }
}

/// Whoever writes a tool in Rust begins with what stands at the head of a module.
#[test]
fn every_module_has_an_example() {
    for (_, module, _) in LAYERS.iter().filter(|(_, module, _)| *module != "lib") {
        let text = std::fs::read_to_string(root().join(format!("shared/src/{module}.rs"))).unwrap();
        let head = text.lines().take_while(|line| line.starts_with("//!"));
        assert!(head.into_iter().any(|line| line == "//! ```"), "{module} has no example in its head");
    }
}
