//! A transcript in blocks: the items of a turn, and the turn. A turn that is too large for the memory is several blocks.

use codex_agent_shared::error::Result;
use codex_agent_shared::transcript::stats::Sums;
use codex_agent_shared::transcript::{Item, Record, Turn};

use codex_agent_shared::transcript::prose::result;

/// The size of the texts of a block from which on the turn is continued in another block.
const LARGEST: usize = 1 << 20;

/// Items of one turn.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The number of the turn; `None` for an undone turn, and if it is unknown.
    pub(super) number: Option<u64>,
    /// Codex's id of the turn.
    pub(super) turn_id: Option<String>,
    pub(super) items: Vec<Item>,
    /// The turn, in its last block.
    pub(super) turn: Option<Turn>,
    /// Whether the block is the first one of the turn.
    pub(super) is_first: bool,
    /// Whether late items of another turn stand between this block and the one before of the turn.
    pub(super) is_continued: bool,
    /// Whether the items were written after the end of the turn.
    pub(super) is_late: bool,
    pub(super) is_undone: bool,
    pub(super) is_inherited: bool,
}

impl Block {
    /// Whether the block begins with a heading.
    pub(super) fn has_heading(&self) -> bool {
        self.is_first || self.is_continued
    }

    /// Whether the heading is the place of the number of the turn.
    pub(super) fn has_anchor(&self) -> bool {
        self.is_first && !self.is_late && !self.is_undone
    }

    fn is_of(&self, number: Option<u64>, id: Option<&str>) -> bool {
        (self.number, self.turn_id.as_deref()) == (number, id)
    }
}

/// Collects records in blocks, and passes each block on.
pub(super) struct Blocks<'t> {
    take: &'t mut dyn FnMut(&Block) -> Result<()>,
    block: Block,
    size: usize,
    sums: Sums,
    /// The turn that late items of another one have interrupted.
    interrupted: Option<(Option<u64>, Option<String>)>,
}

impl<'t> Blocks<'t> {
    pub(super) fn new(take: &'t mut dyn FnMut(&Block) -> Result<()>) -> Blocks<'t> {
        Blocks { take, block: Block::default(), size: 0, sums: Sums::default(), interrupted: None }
    }

    pub(super) fn add(&mut self, record: Record) -> Result<()> {
        match record {
            Record::Item(item) => {
                let is_same = !self.block.items.is_empty() || !self.block.is_first;
                let is_same = is_same && self.block.is_of(item.turn, item.turn_id.as_deref());
                if !is_same || self.block.is_late != item.late {
                    let begun = (self.block.number, self.block.turn_id.clone());
                    let is_open = !self.block.is_late && !self.block.items.is_empty();
                    self.pass()?;
                    if item.late && is_open {
                        self.interrupted = Some(begun);
                    }
                    let is_continued = !item.late
                        && self
                            .interrupted
                            .take_if(|turn| *turn == (item.turn, item.turn_id.clone()))
                            .is_some();
                    self.block = Block {
                        number: item.turn,
                        turn_id: item.turn_id.clone(),
                        is_first: !is_continued,
                        is_continued,
                        is_late: item.late,
                        is_undone: item.undone,
                        is_inherited: item.inherited,
                        ..Block::default()
                    };
                } else if self.size > LARGEST {
                    self.pass()?;
                }
                let text = item.text.as_ref().map_or(0, String::len);
                self.size += size_of::<Item>() + text + result(&item).map_or(0, str::len);
                self.block.items.push(item);
            }
            Record::Turn(turn) => {
                // The turns of the session itself that stand.
                if !turn.undone && !turn.inherited {
                    self.sums.add(&Sums::of(&turn));
                }
                if self.block.is_late || !self.block.is_of(turn.turn, turn.turn_id.as_deref()) {
                    self.pass()?;
                    let is_continued =
                        self.interrupted.take_if(|open| *open == (turn.turn, turn.turn_id.clone())).is_some();
                    self.block = Block {
                        number: turn.turn,
                        turn_id: turn.turn_id.clone(),
                        is_first: !is_continued,
                        is_continued,
                        is_undone: turn.undone,
                        is_inherited: turn.inherited,
                        ..Block::default()
                    };
                }
                self.block.turn = Some(turn);
                self.pass()?;
                self.block = Block { is_first: true, ..Block::default() };
            }
            _ => {}
        }
        Ok(())
    }

    /// Passes the block on, and begins the next one of the same turn.
    fn pass(&mut self) -> Result<()> {
        if !self.block.items.is_empty() || self.block.turn.is_some() {
            (self.take)(&self.block)?;
        }
        (self.block.items, self.block.turn, self.size) = (Vec::new(), None, 0);
        (self.block.is_first, self.block.is_continued) = (false, false);
        Ok(())
    }

    /// Passes the last block on, and returns the sums.
    pub(super) fn finish(mut self) -> Result<Sums> {
        self.pass()?;
        Ok(self.sums)
    }
}
