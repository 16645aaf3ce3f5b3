//! Which parts of an Office Open XML package a part refers to.

use std::collections::HashMap;

use super::package::{Package, check_listed, folder, resolve};
use crate::documents::extract::sections::Stop;
use crate::documents::extract::xml::{Element, Visit, Visitor};

/// A reference from one part to another.
#[derive(Debug, Clone)]
pub struct Relation {
    /// The last segment of its type, which transitional and strict files share: `officeDocument`, `slide`.
    pub kind: String,
    /// The other part's name.
    pub target: String,
}

/// The references of one part.
#[derive(Debug, Default)]
pub struct Relations {
    found: Vec<Relation>,
    by_id: HashMap<String, usize>,
}

impl Relations {
    /// Those of `part`, or of the package itself with an empty name.
    pub fn of(package: &mut Package<'_>, part: &str) -> Result<Self, Stop> {
        let file = part.rsplit('/').next().unwrap_or_default();
        let name = resolve(folder(part), &format!("_rels/{file}.rels"));
        let mut reader = Reader { base: folder(part), relations: Self::default() };
        package.walk_small(&name, &mut reader)?;
        Ok(reader.relations)
    }

    pub fn with_id(&self, id: &str) -> Option<&Relation> {
        self.by_id.get(id).map(|index| &self.found[*index])
    }

    /// All of a kind.
    pub fn of_kind<'r>(&'r self, kind: &'r str) -> impl Iterator<Item = &'r Relation> {
        self.found.iter().filter(move |relation| relation.kind == kind)
    }

    /// The part of a kind that there is one of.
    pub fn target(&self, kind: &str) -> Option<&str> {
        self.found.iter().find(|relation| relation.kind == kind).map(|relation| relation.target.as_str())
    }
}

struct Reader<'b> {
    base: &'b str,
    relations: Relations,
}

impl Visitor for Reader<'_> {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        let external = element.attribute("TargetMode").is_some_and(|mode| mode.eq_ignore_ascii_case("external"));
        if element.name() == "Relationship"
            && !external
            && let (Some(id), Some(kind), Some(target)) =
                (element.attribute("Id"), element.attribute("Type"), element.attribute("Target"))
        {
            let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
            self.relations.by_id.insert(id, self.relations.found.len());
            self.relations.found.push(Relation { kind, target: resolve(self.base, &target) });
            check_listed(self.relations.found.len(), "relations of a part")?;
        }
        Ok(Visit::Into)
    }
}
