use crate::subvolume::{self, Item};
use crate::tree::Root;
use crate::volume::Volume;
use h2k_block::{Class, Error, Result};
use h2k_fs::Node;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Bits of a node that number the inode; the rest number the subvolume.
const INODE_BITS: u32 = 44;
/// Most subvolumes one opened filesystem walks.
const MOST: usize = 1 << 20;

/// A subvolume that somebody went into.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) id: u64,
    pub(crate) root: Root,
    pub(crate) directory: u64,
}

#[derive(Default)]
struct State {
    places: HashMap<u64, usize>,
    trees: Vec<Arc<Tree>>,
}

/// Subvolumes by the short numbers that nodes carry. They are numbered as they are met: a filesystem may have
/// thousands of snapshots that nobody asks for.
#[derive(Default)]
pub(crate) struct Table(RwLock<State>);

impl Table {
    /// The short number of subvolume `id`.
    pub(crate) fn place(&self, volume: &Volume, roots: &Root, id: u64) -> Result<usize> {
        if let Some(place) = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .places
            .get(&id)
        {
            return Ok(*place);
        }
        let item: Item = if subvolume::is_files(id) {
            subvolume::item(volume, roots, id)?.filter(|item| item.live)
        } else {
            None
        }
        .ok_or_else(|| subvolume::absent(id))?;
        let tree = Tree {
            id,
            root: item.root,
            directory: item.directory,
        };
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = state.places.get(&id) {
            return Ok(*place);
        }
        let place = state.trees.len();
        if place >= MOST {
            return Err(Error::new(Class::Limit, format!("more than {MOST} subvolumes")));
        }
        state.places.insert(id, place);
        state.trees.push(Arc::new(tree));
        Ok(place)
    }

    /// The subvolume and inode that `node` stands for.
    pub(crate) fn take_apart(&self, node: Node) -> Result<(Arc<Tree>, u64)> {
        let place = usize::try_from(node.0 >> INODE_BITS).unwrap_or(usize::MAX);
        let number = node.0 & mask();
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let tree = state.trees.get(place).cloned();
        let tree =
            tree.ok_or_else(|| Error::new(Class::NotFound, format!("there is no node {:#x}", node.0)))?;
        Ok((tree, number))
    }
}

fn mask() -> u64 {
    u64::MAX
        .checked_shr(64_u32.saturating_sub(INODE_BITS))
        .unwrap_or(0)
}

/// The node of inode `number` in the subvolume with the short number `place`.
pub(crate) fn node(place: usize, number: u64) -> Result<Node> {
    let high = u64::try_from(place)
        .ok()
        .and_then(|p| p.checked_mul(mask().saturating_add(1)));
    match high {
        Some(high) if number <= mask() => Ok(Node(high | number)),
        _ => Err(Error::unsupported(format!(
            "inode {number} has a number above 2^{INODE_BITS}"
        ))),
    }
}

/// The short number that `node` carries.
pub(crate) fn place_of(node: Node) -> usize {
    usize::try_from(node.0 >> INODE_BITS).unwrap_or(usize::MAX)
}
