//! Documents of every office kind around the same XML, and what reading one costs a process of its own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lambda_embed::documents::extract::{Hints, Unreadable};
use serde::{Deserialize, Serialize};

use crate::support::document_set::count;
use crate::support::function::peak;
use crate::support::zip::Zip;

/// What a document may take: even a hostile one ends where its limits end.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The variables that tell [`reads_one`] what to read.
const FILE: &str = "HOSTILE_FILE";
const KEY: &str = "HOSTILE_KEY";

/// How the reading of a document ended, and what it took.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cost {
    /// `read`, the reason to skip, or `broken`.
    pub outcome: String,
    pub text: String,
    /// Megabytes of resident memory beyond those before the reading, at the peak.
    pub megabytes: u64,
}

/// Reads `bytes` in a process of its own.
pub fn cost(key: &str, bytes: &[u8]) -> Cost {
    let folder =
        std::env::temp_dir().join(format!("lambda-embed-hostile-{}-{}", std::process::id(), fastrand::u64(..)));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("document");
    std::fs::write(&file, bytes).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::reads_one", "--ignored", "--nocapture", "--test-threads", "1"])
        .envs([(FILE, file.as_os_str()), (KEY, key.as_ref())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            let megabytes = peak(&child);
            child.kill().unwrap();
            panic!("{key}: no end after {PATIENCE:?} and {megabytes} MB");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.find("{\"outcome\"").map(|at| &line[at..]));
    let line = line.unwrap_or_else(|| panic!("{key}: the process died: {} {said}", output.status));
    let cost: Cost = serde_json::from_str(line).unwrap();
    eprintln!("{key}: {} after {:.1} s, {} MB", cost.outcome, began.elapsed().as_secs_f64(), cost.megabytes);
    cost
}

/// Reads what the variables name, and says what it cost; in the process that [`cost`] starts.
pub fn reads_one() {
    let (Some(file), Ok(key)) = (std::env::var_os(FILE), std::env::var(KEY)) else { return };
    let before = memory("VmRSS:");
    let (outcome, text) = count(std::fs::File::open(file).unwrap(), &Hints { key: &key, ..Hints::default() });
    let outcome = match outcome {
        Ok(_) => "read".to_owned(),
        Err(Unreadable::Skipped { why, .. }) => serde_json::to_value(why).unwrap().as_str().unwrap().to_owned(),
        Err(Unreadable::Broken(_)) => "broken".to_owned(),
        Err(other) => panic!("{other:?}"),
    };
    let megabytes = memory("VmHWM:").saturating_sub(before);
    println!("{}", serde_json::to_string(&Cost { outcome, text, megabytes }).unwrap());
}

/// A number of this process's status, in megabytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// A part of relations: kind and target of each, whose ids are r1, r2, ….
pub fn relations(all: &[(&str, &str)]) -> String {
    let relation = |(number, (kind, target)): (usize, &(&str, &str))| {
        format!("<Relationship Id='r{}' Type='{RELATIONS}/{kind}' Target='{target}'/>", number + 1)
    };
    format!("<Relationships>{}</Relationships>", all.iter().enumerate().map(relation).collect::<String>())
}

/// The parts of a document of Word with this body.
pub fn word(prolog: &str, body: &str, links: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    vec![
        ("_rels/.rels", relations(&[("officeDocument", "word/document.xml")])),
        ("word/document.xml", format!("{prolog}<w:document><w:body>{body}</w:body></w:document>")),
        ("word/_rels/document.xml.rels", relations(links)),
    ]
}

/// The parts of a workbook with this sheet and these shared texts.
pub fn workbook(prolog: &str, sheet: &str, shared: &str) -> Vec<(&'static str, String)> {
    vec![
        ("_rels/.rels", relations(&[("officeDocument", "xl/workbook.xml")])),
        ("xl/workbook.xml", "<workbook><sheets><sheet name='One' r:id='r1'/></sheets></workbook>".to_owned()),
        (
            "xl/_rels/workbook.xml.rels",
            relations(&[("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "sharedStrings.xml")]),
        ),
        ("xl/worksheets/sheet1.xml", format!("{prolog}<worksheet><sheetData>{sheet}</sheetData></worksheet>")),
        ("xl/sharedStrings.xml", format!("{prolog}<sst>{shared}</sst>")),
    ]
}

/// The parts of a presentation of one slide.
pub fn presentation(prolog: &str, slide: &str, links: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    vec![
        ("_rels/.rels", relations(&[("officeDocument", "ppt/presentation.xml")])),
        ("ppt/presentation.xml", "<p:presentation><p:sldId r:id='r1'/></p:presentation>".to_owned()),
        ("ppt/_rels/presentation.xml.rels", relations(&[("slide", "slides/slide1.xml")])),
        ("ppt/slides/slide1.xml", format!("{prolog}<p:sld>{slide}</p:sld>")),
        ("ppt/slides/_rels/slide1.xml.rels", relations(links)),
    ]
}

/// The parts of a book with this manifest and spine, and one chapter.
pub fn book(package: &str, chapter: &str) -> Vec<(&'static str, String)> {
    vec![
        ("mimetype", "application/epub+zip".to_owned()),
        ("META-INF/container.xml", "<container><rootfile full-path='book.opf'/></container>".to_owned()),
        ("book.opf", format!("<package>{package}</package>")),
        ("a.xhtml", chapter.to_owned()),
    ]
}

pub const SPINE: &str = "<item id='a' href='a.xhtml' media-type='application/xhtml+xml'/><itemref idref='a'/>";

fn open_document(kind: &str, prolog: &str, body: &str) -> Vec<(&'static str, String)> {
    vec![
        ("mimetype", format!("application/vnd.oasis.opendocument.{kind}")),
        (
            "content.xml",
            format!("{prolog}<office:document-content><office:body>{body}</office:body></office:document-content>"),
        ),
    ]
}

pub fn zipped(parts: &[(&str, String)]) -> Vec<u8> {
    Zip::of(&parts.iter().map(|(name, content)| (*name, content.as_bytes())).collect::<Vec<_>>())
}

/// A document of each kind in which `inner`, of XML, is where a text is; `prolog` is before the outermost element.
pub fn everywhere(prolog: &str, inner: &str) -> Vec<(&'static str, Vec<u8>)> {
    let cell = "<row><c t='s'><v>0</v></c></row>";
    let slide = format!("<p:sp><a:p><a:r><a:t>{inner}</a:t></a:r></a:p></p:sp>");
    let page = format!(
        "<draw:page><draw:frame><draw:text-box><text:p>{inner}</text:p></draw:text-box></draw:frame></draw:page>"
    );
    let kinds = [
        ("a.docx", word(prolog, &format!("<w:p><w:r><w:t>{inner}</w:t></w:r></w:p>"), &[])),
        ("shared.xlsx", workbook(prolog, cell, &format!("<si><t>{inner}</t></si>"))),
        ("inline.xlsx", workbook(prolog, &format!("<row><c t='inlineStr'><is><t>{inner}</t></is></c></row>"), "")),
        ("a.pptx", presentation(prolog, &slide, &[])),
        ("a.odt", open_document("text", prolog, &format!("<text:p>{inner}</text:p>"))),
        (
            "a.ods",
            open_document(
                "spreadsheet",
                prolog,
                &format!(
                    "<table:table><table:table-row><table:table-cell><text:p>{inner}</text:p></table:table-cell></table:table-row></table:table>"
                ),
            ),
        ),
        ("a.odp", open_document("presentation", prolog, &page)),
        ("a.epub", book(SPINE, &format!("{prolog}<html><body><p>{inner}</p></body></html>"))),
    ];
    let mut all: Vec<_> = kinds.into_iter().map(|(key, parts)| (key, zipped(&parts))).collect();
    all.push(("a.xml", format!("{prolog}<a>{inner}</a>").into_bytes()));
    all
}
