//! Memory that files are read into.

use std::ops::Range;

/// The size of a page.
pub(crate) const PAGE: usize = 4 << 10;

/// Memory that begins with a page. A great allocation begins 16 bytes behind it, and to copy pages to there takes some
/// processors three times as long: each load seems to depend on the last store, of the same place in another page.
pub(crate) struct Block {
    memory: Vec<u8>,
    from: usize,
    size: usize,
}

impl Block {
    /// A block without memory.
    pub(crate) const EMPTY: Block = Block { memory: Vec::new(), from: 0, size: 0 };

    pub(crate) fn new(size: usize) -> Block {
        let mut block = Block::EMPTY;
        block.resize(size);
        block
    }

    /// Changes the size. The memory of a greater block is kept.
    pub(crate) fn resize(&mut self, size: usize) {
        if self.memory.len() < size + PAGE {
            let mut memory = vec![0; size + PAGE];
            let from = Some(memory.as_ptr().align_offset(PAGE)).filter(|from| *from < PAGE).unwrap_or(0);
            memory[from..from + self.size].copy_from_slice(self.bytes());
            (self.memory, self.from) = (memory, from);
        }
        self.size = size;
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.memory[self.from..self.from + self.size]
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.from..self.from + self.size]
    }
}

/// Moves bytes to the first pages of a block, so that they end with a page and the next page of a file is read to a page.
/// Returns where they are.
pub(crate) fn keep(block: &mut [u8], kept: Range<usize>) -> (usize, usize) {
    let to = kept.len().next_multiple_of(PAGE);
    let from = to - kept.len();
    if kept.start != from {
        block.copy_within(kept, from);
    }
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_begins_with_a_page_and_keeps_its_contents() {
        let mut block = Block::new(3);
        block.bytes().copy_from_slice(b"abc");
        for size in [100, 5 << 10, 300 << 10, 50] {
            block.resize(size);
            assert_eq!((block.bytes().len(), &block.bytes()[..3]), (size, &b"abc"[..]));
            assert_eq!(block.bytes().as_ptr().align_offset(PAGE), 0);
        }
        assert!(Block::new(0).bytes().is_empty());
    }
}
