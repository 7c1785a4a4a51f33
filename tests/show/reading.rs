//! A transcript as Codex reads it, in the answer of `thread/read`, and as `show` does, made comparable.
//!
//! Both become the same lines. Where Codex shows less than the rollout has, or more, a rule of [`RULES`] removes the
//! difference; a rule that nothing needs fails the test.

use std::collections::BTreeSet;

use serde_json::Value;

/// The differences that are meant, each with its reason.
pub const RULES: [(&str, &str); 14] = [
    ("lists", "check lists, questions, goals and scripts have no item, and thread/read has only items"),
    ("agents", "an item about another agent has no text, and a message between agents has no item"),
    ("failed patch", "a patch that does not apply has neither an item nor an event"),
    ("tool", "a call of an unknown tool has neither an item nor an event"),
    ("legacy tool", "up to 0.106 a patch, a search and a call of a server have no event either"),
    ("legacy command", "a command in the legacy format, also a migrated one, is only a call of the model"),
    ("legacy image", "an image that the model looked at is in the legacy format only a call of the model"),
    ("killed", "the item of a command that was killed may come late, or never"),
    ("together", "Codex orders calls that ran at the same time by their ends, show by their calls"),
    ("empty", "an answer without text is an item of Codex, and nothing that show could print"),
    ("failed turn", "a legacy turn that failed has no error, and Codex calls it completed"),
    ("reviewer", "Codex shows the prompt of a reviewer as a turn of its own"),
    (
        "legacy review",
        "in the legacy format the start of a review is a turn of its own, and the prompt is there twice",
    ),
    ("copied", "of a subagent with context Codex shows only its own turns"),
];

/// A turn, as both sides have it.
#[derive(Clone, Debug, Default)]
struct Turn {
    id: String,
    status: String,
    error: Option<String>,
    items: Vec<Item>,
}

/// An item: its role, and what is compared.
#[derive(Clone, Debug, PartialEq, PartialOrd, Eq, Ord)]
struct Item {
    role: String,
    text: String,
    /// Whether a command was killed, a patch or a call failed.
    failed: bool,
}

/// Compares readings, and knows which rules were needed.
#[derive(Default)]
pub struct Readings {
    used: BTreeSet<&'static str>,
    /// The number of turns and of items that were equal.
    pub turns: usize,
    pub items: usize,
}

/// The format of the file, or of the part of it that is older.
#[derive(Clone, Copy, PartialEq)]
pub enum Format {
    /// Without events of tools, as up to 0.106.
    Oldest,
    Legacy,
    Migrated,
    Paginated,
}

impl Readings {
    fn rule(&mut self, name: &str) {
        let rule = RULES.iter().find(|(rule, _)| *rule == name).unwrap_or_else(|| panic!("no rule '{name}'"));
        self.used.insert(rule.0);
    }

    /// The rules that no session needed.
    pub fn unused(&self) -> Vec<&'static str> {
        RULES.iter().map(|(name, _)| *name).filter(|name| !self.used.contains(name)).collect()
    }

    /// Fails if the two are not the same transcript. `show` was called with `--inherited`.
    pub fn compare(&mut self, place: &str, format: Format, codex: &[Value], shown: &[Value]) {
        let mut codex: Vec<Turn> = codex.iter().map(|turn| self.of_codex(turn)).collect();
        self.join_reviews(&mut codex, format);
        let mut own = self.of_shown(shown, format);
        for turn in &mut own {
            turn.items.retain(|item| !self.is_missing(item, format));
        }
        let ids = |turns: &[Turn]| turns.iter().map(|turn| turn.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&own), ids(&codex), "{place}: the turns");
        for (own, mut codex) in own.into_iter().zip(codex) {
            if own.status == "failed" && codex.status == "completed" && format != Format::Paginated {
                self.rule("failed turn");
                codex.status = "failed".to_owned();
            }
            assert_eq!((&own.status, &own.error), (&codex.status, &codex.error), "{place} {}", own.id);
            let (mut found, mut want) = (own.items, codex.items);
            if found != want {
                [&mut found, &mut want].into_iter().for_each(|items| sort_together(items));
                self.rule("together");
            }
            let at = found.iter().zip(&want).position(|(found, want)| found != want);
            let all = || [&found, &want].map(|items| items.iter().map(brief).collect::<Vec<_>>());
            assert_eq!(
                at.map(|at| difference(&found[at], &want[at])),
                None,
                "{place} {}: {:?}",
                own.id,
                all()
            );
            assert_eq!(found.len(), want.len(), "{place} {}: {:?}", own.id, all());
            self.turns += 1;
            self.items += found.len();
        }
    }

    fn of_codex(&mut self, turn: &Value) -> Turn {
        let items = turn["items"].as_array().unwrap().iter().filter_map(|item| self.item_of_codex(item));
        let items = items.collect();
        let error = turn["error"]["message"].as_str().map(str::to_owned);
        Turn { id: text(&turn["id"]), status: text(&turn["status"]), error, items }
    }

    fn item_of_codex(&mut self, item: &Value) -> Option<Item> {
        let new = |role: &str, text: String| Some(Item { role: role.to_owned(), text, failed: false });
        match item["type"].as_str().unwrap() {
            "userMessage" => {
                let parts = item["content"].as_array().unwrap().iter();
                new("user", parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"))
            }
            "agentMessage" if item["text"] == "" => {
                self.rule("empty");
                None
            }
            "agentMessage" => new("assistant", text(&item["text"])),
            "plan" => new("plan", text(&item["text"])),
            "reasoning" => {
                let parts = item["summary"].as_array().unwrap().iter().filter_map(Value::as_str);
                new("reasoning", parts.collect::<Vec<_>>().join("\n\n"))
            }
            "commandExecution" => {
                let command = unquoted(item["command"].as_str().unwrap());
                self.command(&command, &text(&item["aggregatedOutput"]), item["exitCode"].as_i64())
            }
            "fileChange" => {
                let changes = item["changes"].as_array().unwrap().iter().map(|change| {
                    let kind = match change["kind"]["type"].as_str().unwrap() {
                        "add" => "created",
                        "delete" => "deleted",
                        _ if change["kind"]["move_path"].is_string() => "moved",
                        _ => "changed",
                    };
                    format!("{} {kind}", last(&text(&change["path"])))
                });
                let mut changes: Vec<String> = changes.collect();
                changes.sort();
                new("patch", changes.join(", "))
            }
            "webSearch" => new("search", text(&item["query"])),
            "mcpToolCall" => {
                let result = text(&item["result"]["content"][0]["text"]);
                let words = format!("{}.{} {result}", text(&item["server"]), text(&item["tool"]));
                Some(Item { role: "tool".to_owned(), text: words, failed: item["status"] == "failed" })
            }
            "imageView" => new("image", last(&text(&item["path"]))),
            "contextCompaction" => new("compaction", String::new()),
            "enteredReviewMode" => new("review", format!("entered {}", text(&item["review"]))),
            "exitedReviewMode" => {
                // In the paginated format the findings are behind it, which the next message repeats.
                let all = text(&item["review"]);
                new("review", format!("finished {}", all.split("\n\nReview comment").next().unwrap()))
            }
            "subAgentActivity" | "collabAgentToolCall" => {
                self.rule("agents");
                None
            }
            other => panic!("an item that the test does not know: {other}"),
        }
    }

    /// A command with its output; `None` for one that was killed.
    fn command(&mut self, command: &str, output: &str, exit: Option<i64>) -> Option<Item> {
        let Some(exit) = exit.filter(|exit| ![-1, 137].contains(exit)) else {
            self.rule("killed");
            return None;
        };
        let text = format!("{command} ({exit})\n{output}");
        Some(Item { role: "command".to_owned(), text, failed: exit != 0 })
    }

    /// Reviews as `show` has them: one turn, without the prompt of the reviewer.
    fn join_reviews(&mut self, turns: &mut Vec<Turn>, format: Format) {
        let enters = |turn: &Turn| turn.items.first().is_some_and(|item| item.text.starts_with("entered "));
        let mut at = 0;
        while at + 1 < turns.len() {
            let is_prompt = turns[at].items.iter().all(|item| item.role == "user");
            if format == Format::Paginated {
                if enters(&turns[at + 1]) && is_prompt && turns[at].status == "interrupted" {
                    self.rule("reviewer");
                    turns.remove(at);
                }
            } else if enters(&turns[at]) {
                self.rule("legacy review");
                let mut entered = turns.remove(at);
                let end = &mut turns[at];
                let users = end.items.iter().filter(|item| item.role == "user").count();
                assert_eq!(users, 2, "{end:?}");
                end.items.retain(|item| item.role != "user");
                entered.items.append(&mut end.items);
                // The id is that of the parent's turn, which the line at the start of a review lacks.
                (end.id, end.items) = ("review".to_owned(), entered.items);
            }
            at += 1;
        }
    }

    fn of_shown(&mut self, records: &[Value], format: Format) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::new();
        let mut items: Vec<&Value> = Vec::new();
        for record in records {
            let is_copy = record["inherited"] == true && record["turn"].is_null();
            if is_copy && format == Format::Paginated {
                self.rule("copied");
                continue;
            }
            if record["type"] == "item" {
                items.push(record);
                continue;
            }
            let error = record["error"]["message"].as_str().map(str::to_owned);
            turns.push(Turn {
                id: text(&record["turn_id"]),
                status: text(&record["status"]),
                error,
                items: vec![],
            });
        }
        // A late item is behind its turn.
        items.sort_by_key(|item| item["item"].as_u64());
        for turn in &mut turns {
            let mut own = items.iter().filter(|item| item["turn_id"] == *turn.id).peekable();
            while let Some(item) = own.next() {
                let role = text(&item["role"]);
                let words = match &*role {
                    "command" => {
                        let output = own.next_if(|next| next["role"] == "output");
                        let output = output.map_or(String::new(), |output| text(&output["text"]));
                        turn.items.extend(self.command(
                            &text(&item["text"]),
                            &output,
                            item["exit_code"].as_i64(),
                        ));
                        continue;
                    }
                    "patch" => {
                        let files = item["files"].as_array().unwrap().iter();
                        let mut files: Vec<String> = files
                            .map(|file| format!("{} {}", last(&text(&file[0])), text(&file[1])))
                            .collect();
                        files.sort();
                        files.join(", ")
                    }
                    "tool" => format!("{} {}", text(&item["name"]), text(&item["output"])),
                    "image" => last(&text(&item["path"])),
                    "compaction" => String::new(),
                    "review" => format!("{} {}", text(&item["action"]), text(&item["text"])),
                    _ => text(&item["text"]),
                };
                turn.items.push(Item { role, text: words, failed: item["failed"] == true });
            }
            let is_review = turn.items.iter().any(|item| item.text.starts_with("entered "));
            if is_review && format != Format::Paginated {
                turn.id = "review".to_owned();
            }
        }
        turns
    }

    /// Whether Codex does not show an item.
    fn is_missing(&mut self, item: &Item, format: Format) -> bool {
        let is_of_server = item.text.split(' ').next().unwrap().contains('.');
        let rule = match &*item.role {
            "todo" | "question" | "script" | "goal" => "lists",
            "agent" => "agents",
            "patch" if item.failed => "failed patch",
            "tool" if !is_of_server => "tool",
            "patch" | "search" | "tool" if format == Format::Oldest => "legacy tool",
            "command" if format != Format::Paginated => "legacy command",
            "image" if format != Format::Paginated => "legacy image",
            _ => return false,
        };
        self.rule(rule);
        true
    }
}

/// The beginning of an item.
fn brief(item: &Item) -> String {
    format!("{} {}", item.role, item.text.lines().next().unwrap_or_default())
}

/// Two items where they begin to differ.
fn difference(found: &Item, want: &Item) -> String {
    let both = found.text.chars().zip(want.text.chars());
    let from = both.take_while(|(a, b)| a == b).count().saturating_sub(20);
    let near = |item: &Item| {
        let text: String = item.text.chars().skip(from).take(100).collect();
        format!("{} {} {text:?}", item.role, if item.failed { "failed" } else { "good" })
    };
    format!("{}, not {}", near(found), near(want))
}

/// Sorts each row of calls that are next to each other.
fn sort_together(items: &mut [Item]) {
    let is_call = |item: &Item| ["command", "tool", "search", "patch", "image"].contains(&&*item.role);
    items.chunk_by_mut(|a, b| is_call(a) && is_call(b)).for_each(<[Item]>::sort);
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The last name of a path.
fn last(path: &str) -> String {
    path.rsplit('/').next().unwrap().to_owned()
}

/// The script in a command line of Codex: `SHELL -lc SCRIPT`, where the script is quoted as a shell needs it.
fn unquoted(line: &str) -> String {
    let script = line.split_once(" -lc ").map_or(line, |(_, script)| script);
    let (mut all, mut chars, mut quote) = (String::new(), script.chars(), None);
    while let Some(next) = chars.next() {
        match (quote, next) {
            (None, '\'' | '"') => quote = Some(next),
            (Some(open), _) if open == next => quote = None,
            (None | Some('"'), '\\') => all.extend(chars.next()),
            _ => all.push(next),
        }
    }
    all
}
