//! A transcript as a page of HTML: one file, without a script, which requests nothing.

use codex_agent_shared::error::Result;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::record::Session;
use codex_agent_shared::text::{counted, harmless};
use codex_agent_shared::transcript::{Detail, Item, Role};

use super::blocks::Block;
use super::markdown::{escaped, shortened, visible};
use codex_agent_shared::transcript::prose;

const STYLE: &str = ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{max-width:50rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}\
h2{border-top:1px solid #8886;padding-top:.5rem;font-size:1.1rem}\
blockquote{border-left:.25rem solid #4a7;margin:1rem 0;padding:.2rem 1rem;white-space:pre-wrap}\
.said{white-space:pre-wrap;margin:1rem 0}pre{overflow:auto;background:#8882;padding:.6rem;white-space:pre-wrap}\
details,p,ul{margin:.4rem 0}:target{outline:2px solid #4a7}.failed{color:#c33}.undone{opacity:.6}\
small{font-weight:400;opacity:.7}";

/// The contents that a browser may load: none but the style of the page itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Prints transcripts as HTML.
pub(super) struct Html<'o> {
    output: &'o mut Output,
    /// Whether outputs are not shortened.
    full: bool,
    /// Whether the page has begun.
    has_begun: bool,
    /// Whether the section of a turn is open.
    in_turn: bool,
    /// The beginning of the ids of turns of a further session.
    prefix: String,
}

impl Html<'_> {
    pub(super) fn new(output: &mut Output, full: bool) -> Html<'_> {
        Html { output, full, has_begun: false, in_turn: false, prefix: String::new() }
    }

    fn put(&mut self, text: &str) -> Result<()> {
        self.output.text(text.as_bytes(), b"\n")
    }

    pub(super) fn session(&mut self, session: &Session<'_>) -> Result<()> {
        self.end_turn()?;
        let title = escaped(&harmless(&session.label().lines().collect::<Vec<_>>().join(" ")));
        if !self.has_begun {
            self.has_begun = true;
            self.put(&format!(
                "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
                 content=\"width=device-width\">\n<meta http-equiv=\"Content-Security-Policy\" \
                 content=\"{POLICY}\">\n<title>{title}</title>\n<style>{STYLE}</style>"
            ))?;
        } else {
            self.prefix = session.id.map(|id| format!("{}-", id.short())).unwrap_or_default();
        }
        let id = session.id.map(|id| format!("<code>{id}</code>"));
        let directory = session.cwd.as_deref().map(|cwd| format!("<code>{}</code>", escaped(&harmless(cwd))));
        let branch = session.git.as_ref().and_then(|git| git.branch.as_deref());
        let branch = branch.map(|branch| escaped(&harmless(branch)));
        let model = session.model.as_deref().map(|model| escaped(&harmless(model)));
        let began = session.created_at.map(|at| at.local("%Y-%m-%d %H:%M"));
        let parts: Vec<String> = [id, directory, branch, model, began].into_iter().flatten().collect();
        self.put(&format!("<h1>{title}</h1>\n<p>{}</p>", parts.join(" · ")))
    }

    fn end_turn(&mut self) -> Result<()> {
        match std::mem::take(&mut self.in_turn) {
            true => self.put("</section>"),
            false => Ok(()),
        }
    }

    pub(super) fn block(&mut self, block: &Block) -> Result<()> {
        if block.has_heading() {
            self.end_turn()?;
            self.in_turn = true;
            let number = match block.number {
                Some(number) => number.to_string(),
                None if block.is_undone => "undone".to_owned(),
                None => "turn".to_owned(),
            };
            let mut figures = Vec::new();
            if let Some(turn) = &block.turn {
                figures.extend(turn.started_at.map(|at| at.local("%Y-%m-%d %H:%M")));
                figures.extend(prose::state(turn).map(str::to_owned));
                figures.extend(turn.duration_ms.map(prose::duration));
                figures.push(prose::tokens(turn.tokens.as_ref()));
            }
            if block.is_late {
                figures.push("later".to_owned());
            }
            if block.is_continued {
                figures.push("continued".to_owned());
            }
            let figures = figures.join(" · ");
            let class = if block.is_undone { " class=\"undone\"" } else { "" };
            let anchor = block.number.filter(|_| block.has_anchor());
            let (id, title) = match anchor {
                Some(number) => {
                    let id = format!("{}t{number}", self.prefix);
                    (format!(" id=\"{id}\""), format!("<a href=\"#{id}\">{number}</a>"))
                }
                None => (String::new(), number),
            };
            self.put(&format!("<section{id}{class}><h2>{title} <small>{figures}</small></h2>"))?;
        }
        prose::with_results(&block.items).try_for_each(|(item, result)| self.item(item, result))?;
        if let Some(turn) = block.turn.as_ref().filter(|_| !block.is_first) {
            let state = prose::state(turn).unwrap_or("completed");
            let tokens = prose::tokens(turn.tokens.as_ref());
            self.put(&format!("<p><small>the turn ended: {state} · {tokens}</small></p>"))?;
        }
        match block.turn.as_ref().and_then(|turn| turn.error.as_ref()) {
            Some(error) => {
                let message = escaped(&visible(error.message.as_deref().unwrap_or("the turn failed")));
                self.put(&format!("<p class=\"failed\">{message}</p>"))
            }
            None => Ok(()),
        }
    }

    /// The attribute with the address of an item, `t3.2`.
    fn id(&self, item: &Item) -> String {
        match (item.turn, item.item) {
            (Some(turn), Some(number)) if !item.undone => format!(" id=\"{}t{turn}.{number}\"", self.prefix),
            _ => String::new(),
        }
    }

    /// Prints a command or a call, with its output.
    fn deed(&mut self, item: &Item, output: &str) -> Result<()> {
        let Some(head) = prose::headline(item) else { return Ok(()) };
        let id = self.id(item);
        let class = if head.is_failed { " class=\"failed\"" } else { "" };
        let first = head.subject.lines().next().unwrap_or_default();
        let is_long = head.subject.len() > first.len();
        let subject = match first.is_empty() {
            true => String::new(),
            false => {
                format!(" <code>{}{}</code>", escaped(&harmless(first)), if is_long { " …" } else { "" })
            }
        };
        let remark =
            if head.remark.is_empty() { String::new() } else { format!(" · {}", escaped(&head.remark)) };
        let summary = format!("<span{class}>{}</span>{subject}{remark}", escaped(&head.verb));
        let script = item.text.as_deref().filter(|_| item.role == Role::Script);
        let whole = if is_long { Some(head.subject.as_str()) } else { script };
        let output = shortened(output, self.full);
        let texts: Vec<&str> =
            whole.into_iter().chain(Some(output.as_str()).filter(|text| !text.is_empty())).collect();
        if texts.is_empty() {
            return self.put(&format!("<p{id}>{summary}</p>"));
        }
        let texts: String =
            texts.iter().map(|text| format!("<pre>{}</pre>", escaped(&visible(text)))).collect();
        self.put(&format!("<details{id}><summary>{summary}</summary>{texts}</details>"))
    }

    fn item(&mut self, item: &Item, result: Option<&str>) -> Result<()> {
        let text = item.text.as_deref().unwrap_or_default();
        let id = self.id(item);
        let body = escaped(&visible(text.trim_end()));
        match (&item.detail, item.role) {
            (Detail::Message { images, .. }, Role::User) => {
                let images = match images {
                    0 => String::new(),
                    count => format!("<p><small>{}</small></p>", counted(*count, "picture")),
                };
                self.put(&format!("<blockquote{id}>{body}</blockquote>{images}"))
            }
            (Detail::Message { .. }, _) => self.put(&format!("<div class=\"said\"{id}>{body}</div>")),
            (_, Role::Reasoning) => {
                self.put(&format!("<details{id}><summary>Reasoning</summary><pre>{body}</pre></details>"))
            }
            (_, Role::Plan | Role::Compaction) => {
                let head = prose::headline(item).unwrap_or_default();
                let open = if item.role == Role::Plan { " open" } else { "" };
                let verb = escaped(&head.verb);
                self.put(&format!("<details{id}{open}><summary>{verb}</summary><pre>{body}</pre></details>"))
            }
            (Detail::Command { .. } | Detail::Script { .. } | Detail::Tool { .. }, _) => {
                self.deed(item, result.unwrap_or_default())
            }
            (_, Role::Output) => {
                let text = escaped(&visible(&shortened(text, self.full)));
                self.put(&format!("<pre{id}>{text}</pre>"))
            }
            (Detail::Patch { files, failed: false }, _) => {
                let changes = prose::file_changes(text, files);
                let rows: String = changes
                    .iter()
                    .map(|one| {
                        format!("<li><code>{}</code> {}</li>", escaped(&harmless(&one.name())), one.summary())
                    })
                    .collect();
                self.put(&format!("<ul{id}>{rows}</ul>"))
            }
            (Detail::Todo { steps }, _) => {
                let row = |(step, status): &(String, String)| {
                    let checked = if status == "completed" { " checked" } else { "" };
                    let state = if status == "in_progress" { " <i>in progress</i>" } else { "" };
                    let step = escaped(&visible(step));
                    format!("<li><input type=\"checkbox\" disabled{checked}> {step}{state}</li>")
                };
                let head = if text.is_empty() { String::new() } else { format!("<p>{body}</p>") };
                self.put(&format!("{head}<ul{id}>{}</ul>", steps.iter().map(row).collect::<String>()))
            }
            (Detail::Question { answers }, _) => {
                let answers: String = answers
                    .iter()
                    .map(|answer| format!("<blockquote>{}</blockquote>", escaped(&visible(answer))))
                    .collect();
                self.put(&format!("<p{id}><b>Asked</b> {body}</p>{answers}"))
            }
            _ => {
                let head = prose::headline(item).unwrap_or_default();
                let class = if head.is_failed { " class=\"failed\"" } else { "" };
                let remark = if head.remark.is_empty() {
                    String::new()
                } else {
                    format!(" · {}", escaped(&head.remark))
                };
                let subject = escaped(&visible(&head.subject));
                self.put(&format!("<p{id}{class}><b>{}</b> {subject}{remark}</p>", escaped(&head.verb)))
            }
        }
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        self.end_turn()?;
        if self.has_begun { self.put("</html>") } else { Ok(()) }
    }
}
