//! A line for each turn.

use codex_agent_shared::error::Result;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::record::Session;
use codex_agent_shared::terminal::{Cell, Cut, Look, Table};
use codex_agent_shared::time::Timestamp;
use codex_agent_shared::transcript::{Record, Role, Turn};

use codex_agent_shared::transcript::prose;

/// More than the width of a time, a duration or a number, which are shown as a whole or not at all.
const WHOLE: usize = 32;

/// The lines of the turns of sessions.
pub(super) struct Oneline {
    /// The table of a terminal; `None` for rows.
    table: Option<Table>,
    color: bool,
    /// The first message of the turn whose record has not come yet.
    prompt: Option<String>,
}

impl Oneline {
    pub(super) fn new(color: bool, is_table: bool) -> Oneline {
        // On a narrow terminal whole columns are omitted, rather than a part of each address.
        let table = Table::new()
            .column("TURN", Look::Id)
            .column("BEGAN", Look::Dim)
            .optional(4, WHOLE)
            .column("STATUS", Look::Plain)
            .column("TOOK", Look::Dim)
            .optional(2, WHOLE)
            .column("TOKENS", Look::Dim)
            .optional(3, WHOLE)
            .column("PROMPT", Look::Plain)
            .gives_way(1, 20);
        Oneline { table: is_table.then_some(table), color, prompt: None }
    }

    pub(super) fn add(&mut self, record: &Record, session: &Session<'_>, output: &mut Output) -> Result<()> {
        match record {
            // A late item is no part of the turn whose record comes next.
            Record::Item(item) if item.late => Ok(()),
            Record::Item(item) => {
                let is_better = item.role == Role::User || item.role == Role::Agent;
                if self.prompt.is_none() && is_better {
                    self.prompt = Some(item.text.clone().unwrap_or_default());
                }
                Ok(())
            }
            Record::Turn(turn) => {
                let prompt = self.prompt.take().unwrap_or_default();
                self.turn(turn, &prompt, session, output)
            }
            _ => Ok(()),
        }
    }

    fn turn(&mut self, turn: &Turn, prompt: &str, session: &Session<'_>, output: &mut Output) -> Result<()> {
        let status = prose::state(turn).unwrap_or("completed");
        let Some(table) = &mut self.table else {
            let began = turn.started_at.map(|at| at.to_string()).unwrap_or_default();
            let tokens = turn.tokens.map(|one| one.input.saturating_add(one.output).to_string());
            let took = turn.duration_ms.map(|ms| ms.to_string()).unwrap_or_default();
            let address = turn.address().unwrap_or_default();
            return output.row([&*address, &began, status, &took, &tokens.unwrap_or_default(), prompt]);
        };
        let id = session.id.map(|id| id.short()).unwrap_or_default();
        let name = match turn.turn {
            Some(number) if !turn.undone => format!("{id}:{number}"),
            _ if turn.undone => "undone".to_owned(),
            // Only the end of the transcript was read, or the turn was copied.
            _ => id,
        };
        let time = |at: Timestamp| at.local("%m-%d %H:%M");
        let tokens = turn.tokens.map(|one| prose::short_number(one.input.saturating_add(one.output)));
        let look = Look::of_state(status).unwrap_or(Look::Plain);
        table.row([
            Cell::with_cut(name, Cut::Front),
            turn.started_at.map(time).unwrap_or_default().into(),
            Cell::with_look(status, look),
            turn.duration_ms.map(prose::duration).unwrap_or_default().into(),
            tokens.unwrap_or_default().into(),
            prompt.into(),
        ]);
        Ok(())
    }

    pub(super) fn finish(self, output: &mut Output) -> Result<()> {
        match self.table {
            Some(table) => table.write(output, self.color),
            None => Ok(()),
        }
    }
}
