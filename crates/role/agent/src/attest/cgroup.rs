//! Where a process is in the trees of control groups (cgroups(7)): the unit of systemd that it is of, and its container.

use super::container::{Container, Uncertain, container};

/// Most lines: as many hierarchies as there can be controllers, and some.
const MAX_LINES: usize = 64;

/// The control groups of one process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cgroups(Vec<Line>);

#[derive(Debug, PartialEq, Eq)]
struct Line {
    tree: Tree,
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tree {
    /// Version 2.
    Unified,
    /// The tree of version 1 in which systemd keeps its units.
    Named,
    /// A tree of version 1 for controllers.
    Controllers,
}

impl Cgroups {
    /// Reads `/proc/PID/cgroup`, of either version or both: lines of `NUMBER:CONTROLLERS:PATH`. A path may have colons.
    pub(super) fn read(text: &str) -> Option<Self> {
        let lines = text.lines().map(Line::read).collect::<Option<Vec<_>>>()?;
        (!lines.is_empty() && lines.len() <= MAX_LINES).then_some(Self(lines))
    }

    /// The unit of the system's own systemd that the process is of. Root alone makes what stands above it.
    pub(super) fn unit(&self) -> Option<&str> {
        let tree = |wanted: Tree| self.0.iter().find(|line| line.tree == wanted);
        unit(&tree(Tree::Named).or_else(|| tree(Tree::Unified))?.path)
    }

    /// The one container that the process is in, if it is in any.
    ///
    /// # Errors
    /// [`Uncertain`]: nothing is chosen.
    pub(super) fn container(&self) -> Result<Option<Container>, Uncertain> {
        let mut found: Option<Container> = None;
        for line in &self.0 {
            let Some(next) = container(&line.path)? else { continue };
            found = Some(match found {
                Some(before) => before.and(next)?,
                None => next,
            });
        }
        Ok(found)
    }
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let number: u32 = number.parse().ok()?;
        let tree = match (number, controllers) {
            (0, "") => Tree::Unified,
            (0, _) => return None,
            (_, "name=systemd") => Tree::Named,
            (_, _) => Tree::Controllers,
        };
        path.starts_with('/').then(|| Self { tree, path: path.to_owned() })
    }
}

/// The first unit below slices alone. A path that begins above what this process sees has none: `..` could be anything.
fn unit(path: &str) -> Option<&str> {
    let mut names = path.split('/').skip(1);
    let name = names.find(|name| !name.ends_with(".slice"))?;
    // systemd puts a `_` before a name that the kernel could take for its own
    let name = name.strip_prefix('_').unwrap_or(name);
    is_unit(name).then_some(name)
}

/// Units that have processes (systemd.unit(5)).
fn is_unit(name: &str) -> bool {
    const KINDS: &[&str] = &[".service", ".scope", ".socket", ".mount", ".swap"];
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    KINDS.iter().any(|kind| name.len() > kind.len() && name.ends_with(kind)) && name.bytes().all(sound)
}
