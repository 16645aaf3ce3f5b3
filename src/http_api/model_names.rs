//! The names that a request may have for the model.
//!
//! Another model's name is refused, because vectors of two models must never share an index. Clients whose users name
//! no model send a placeholder, and some cannot be told this model's name: `EMBED_MODEL_ALIASES` is for them.

use crate::error::{Error, Kind, Result};
use crate::model::Manifest;

/// What clients send where their user names no model: nothing, or text-embeddings-inference's placeholder.
const PLACEHOLDERS: [&str; 2] = ["", "text-embeddings-inference"];

/// In `EMBED_MODEL_ALIASES`: any name.
const ANY: &str = "*";

/// # Errors
/// [`Kind::NotFound`] for another model's name.
pub(super) fn check(name: &str, manifest: &Manifest, aliases: &[String]) -> Result<()> {
    let alias = aliases.iter().any(|alias| alias == ANY || alias.eq_ignore_ascii_case(name));
    if alias || manifest.answers_to(name) || PLACEHOLDERS.contains(&name) {
        return Ok(());
    }
    let message = format!(
        "model {name:?} is not here; this function serves {:?}, by further names if EMBED_MODEL_ALIASES has them",
        manifest.id
    );
    Err(Error::request(Kind::NotFound, "model", message))
}

/// Every name that [`check`] takes, each once; the alias `*` is none of them.
pub(super) fn taken<'a>(manifest: &'a Manifest, aliases: &'a [String]) -> Vec<&'a str> {
    let own = [manifest.id.as_str(), manifest.name.as_str()];
    let mut names = Vec::new();
    for name in own.into_iter().chain(PLACEHOLDERS).chain(listed(manifest, aliases)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The names that a list of models shows: the model's own, then its aliases.
pub(super) fn listed<'a>(manifest: &'a Manifest, aliases: &'a [String]) -> impl Iterator<Item = &'a str> {
    let further = aliases.iter().map(String::as_str).filter(|alias| *alias != ANY && !manifest.answers_to(alias));
    std::iter::once(manifest.id.as_str()).chain(further)
}
