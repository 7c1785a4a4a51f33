//! Real shells, in which TAB is pressed: bash and zsh on a terminal, fish through its `complete -C`.

use crate::world::World;
use crate::world::terminal::Terminal;

pub fn has(world: &World, shell: &str) -> bool {
    let there = world.sh(&format!("command -v {shell}")).out.contains('/');
    if !there {
        eprintln!("SKIPPED: there is no {shell} to press TAB in");
    }
    there
}

/// What became of a line, and what was shown below it.
pub struct Tab {
    pub line: String,
    pub shown: String,
}

impl Tab {
    pub fn offers(&self, word: &str) -> bool {
        let is_edge = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || c == '/');
        self.shown.match_indices(word).any(|(at, _)| {
            is_edge(self.shown[..at].chars().next_back())
                && is_edge(self.shown[at + word.len()..].chars().next())
        })
    }
}

/// A shell that somebody types into. Its start must bind `^Xr` to print `<line>`, the line, `<end>`,
/// and to empty the line: keys are taken one after the other, so that TAB is done by then.
pub struct Shell(Terminal);

impl Shell {
    fn start(world: &World, words: &[&str], variables: &[(&str, String)]) -> Shell {
        let mut command = world.command(words[0]);
        command.args(&words[1..]).envs(variables.iter().map(|(name, value)| (name, value)));
        let mut terminal = Terminal::open(command, 200, 1000);
        terminal.until("ready> ");
        Shell(terminal)
    }

    pub fn tab(&mut self, line: &str) -> Tab {
        self.0.press(&format!("{line}\t\x18r"));
        let all = self.0.until("<end>");
        // A key that came before the prompt is back would be shown by the terminal itself.
        self.0.until("ready> ");
        let (shown, line) = all.split_once("<line>").unwrap();
        // Every movement of the cursor begins something else; the line as it is typed is no offer.
        let mut rows = String::new();
        let mut letters = shown.chars();
        while let Some(c) = letters.next() {
            match c {
                '\x1b' => {
                    if letters.next() == Some('[') && letters.find(|c| ('@'..='~').contains(c)) != Some('m') {
                        rows.push('\n');
                    }
                }
                '\r' => rows.push('\n'),
                '\x07' => {}
                c => rows.push(c),
            }
        }
        let offers = rows.split('\n').skip(1).filter(|row| !row.contains("ready> "));
        let shown = offers.collect::<Vec<_>>().join("\n");
        Tab { line: line.trim_end_matches("<end>").to_owned(), shown }
    }
}

impl Shell {
    /// Presses TAB where the shell asks, waits for this part of the question, and answers no.
    pub fn refuse(&mut self, line: &str, question: &str) {
        self.0.press(&format!("{line}\t"));
        self.0.until(question);
        self.0.press("n\x18r");
        self.0.until("<end>");
        self.0.until("ready> ");
    }
}

/// bash on a terminal, after these lines; `None` where it cannot be asked for its line.
pub fn bash(world: &World, lines: &str) -> Option<Shell> {
    let start = world.write(
        "bashrc",
        format!(
            "PS1='ready> '\nunset HISTFILE\n{lines}\n\
             report() {{ printf '<line>%s<end>\\n' \"$READLINE_LINE\"; READLINE_LINE= READLINE_POINT=0; }}\n\
             bind -x '\"\\C-xr\": report'\n"
        ),
    );
    let settings = world.write(
        "inputrc",
        "set bell-style none\nset enable-bracketed-paste off\nset show-all-if-ambiguous on\n\
         set completion-query-items -1\nset page-completions off\nset completion-display-width 0\n",
    );
    // The scripts are written for older ones too, but only bash 4 can bind a function to ^Xr.
    if world.sh("bash -c '[ ${BASH_VERSINFO[0]} -ge 4 ]'").code != 0 {
        eprintln!("SKIPPED: this bash cannot be asked for its line");
        return None;
    }
    Some(Shell::start(
        world,
        &["bash", "--noprofile", "--rcfile", start.to_str().unwrap(), "-i"],
        &[("INPUTRC", settings.display().to_string())],
    ))
}

/// zsh on a terminal, with these lines after those that load the completions.
pub fn zsh(world: &World, lines: &str) -> Shell {
    world.write(
        "zdot/.zshrc",
        format!(
            "PROMPT='ready> '\nunset HISTFILE zle_bracketed_paste\nLISTMAX=100000\nsetopt no_beep no_prompt_sp no_list_ambiguous\n\
             fpath=($PWD/completions/zsh $fpath)\nautoload -Uz compinit\ncompinit -u -D\n{lines}\n\
             report() {{ zle -I; print -r -- \"<line>$BUFFER<end>\"; zle send-break }}\nzle -N report\nbindkey -e\nbindkey '^Xr' report\n"
        ),
    );
    Shell::start(world, &["zsh", "-d", "-i"], &[("ZDOTDIR", world.path("zdot").display().to_string())])
}

/// What fish offers for a line, after these lines.
pub fn fish(world: &World, lines: &str, line: &str) -> String {
    let script = format!("source completions/codex-agent.fish; {lines}; complete -C $argv[1]");
    let ran = world.run(&["fish", "-N", "-c", &script, line]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{line}");
    ran.out
}
