//! EPUB: the chapters of an e-book in the order in which they are read, each as the web page that it is.

use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode_str;

use super::package::{Package, check_listed, folder, resolve};
use crate::documents::extract::nested::{self, Nested};
use crate::documents::extract::sections::{Out, Stop};
use crate::documents::extract::xml::{Element, Visit, Visitor};
use crate::documents::extract::{Skip, Unreadable};
use crate::record::Place;

/// The name of the part that describes the book.
pub fn book(package: &mut Package<'_>) -> Result<String, Stop> {
    #[derive(Default)]
    struct Container(Option<String>);
    impl Visitor for Container {
        fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
            if element.name() == "rootfile" && self.0.is_none() {
                self.0 = element.attribute("full-path");
            }
            Ok(Visit::Into)
        }
    }
    let mut container = Container::default();
    package.walk_small("META-INF/container.xml", &mut container)?;
    let book = container.0.map(|path| part_name("", &path)).filter(|name| package.has(name));
    book.ok_or_else(|| Unreadable::Broken("its part META-INF/container.xml names no book".to_owned()).into())
}

pub fn read(package: &mut Package<'_>, book: &str, place: &Place, out: &mut Out<'_>) -> Result<(), Stop> {
    let options = package.options();
    let mut encrypted = Encrypted::default();
    package.walk_small("META-INF/encryption.xml", &mut encrypted)?;
    let mut spine = Spine::default();
    package.walk_small(book, &mut spine)?;
    let mut seen = HashSet::new();
    let chapters = spine.order.iter().filter_map(|id| spine.items.get(id)).filter(|chapter| seen.insert(*chapter));
    for (number, (href, media_type)) in (1..).zip(chapters) {
        let name = part_name(folder(book), href);
        if encrypted.0.contains(&name) {
            return Err(Unreadable::skipped(Skip::Encrypted, "its chapters are encrypted").into());
        }
        let chapter = format!("chapter {number}");
        match package.bytes(&name)? {
            Some(bytes) => {
                let chapter = Nested { bytes: &bytes, key: &name, content_type: media_type.as_deref(), place };
                nested::read(&chapter, &[], options, out)?;
            }
            None => out.skipped_records.add(format_args!("{chapter}"), "unreadable", "its part is missing"),
        }
    }
    Ok(())
}

/// The part that a reference of the book means.
fn part_name(base: &str, href: &str) -> String {
    let path = href.split('#').next().unwrap_or_default();
    resolve(base, &percent_decode_str(path).decode_utf8_lossy())
}

/// Parts that are encrypted; fonts often are, to no harm.
#[derive(Default)]
struct Encrypted(HashSet<String>);

impl Visitor for Encrypted {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        if element.name() == "CipherReference" {
            self.0.extend(element.attribute("URI").map(|uri| part_name("", &uri)));
            check_listed(self.0.len(), "encrypted files")?;
        }
        Ok(Visit::Into)
    }
}

/// The chapters' ids in their order, and what the ids mean.
#[derive(Default)]
struct Spine {
    /// Reference and media type.
    items: HashMap<String, (String, Option<String>)>,
    order: Vec<String>,
}

impl Visitor for Spine {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        match element.name() {
            "item" => {
                if let (Some(id), Some(href)) = (element.attribute("id"), element.attribute("href")) {
                    self.items.insert(id, (href, element.attribute("media-type")));
                    check_listed(self.items.len(), "files")?;
                }
            }
            "itemref" => {
                self.order.extend(element.attribute("idref"));
                check_listed(self.order.len(), "chapters")?;
            }
            _ => {}
        }
        Ok(Visit::Into)
    }
}
