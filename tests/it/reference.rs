//! Documents against other people's readers of the same formats: LibreOffice, and pandoc for e-books. Of the words that
//! these find, nearly all are read, in their order; in documents of ours and in those that the two write.

use std::path::{Path, PathBuf};
use std::process::Command;

use lambda_embed::documents::extract::Hints;

use crate::support::document_set::{index, read};
use crate::support::parts;

/// Of a hundred words of the reference, those that have to be read in its order.
const IN_ORDER: usize = 98;

/// The name under which the first of `names` starts; fails the test where none is installed.
fn installed(part: &str, names: &[&'static str]) -> &'static str {
    parts::assert_present(part);
    let starts = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    names.iter().find(starts).copied().unwrap_or_else(|| parts::missing(part))
}

/// A folder for what the other readers write, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("lambda-embed-reference-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(command: &mut Command) -> Vec<u8> {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// `file` as LibreOffice converts it, in `folder`.
fn by_libreoffice(file: &Path, filter: &str, folder: &Folder) -> PathBuf {
    let program = installed("libreoffice", &["soffice", "libreoffice"]);
    // A folder for each run: LibreOffice hands a second start over to one that is ending, if both have one profile; and
    // what an earlier run wrote is not taken for this one's.
    let number = std::fs::read_dir(&folder.0).unwrap().count();
    let run_folder = folder.0.join(format!("run-{number}"));
    std::fs::create_dir(&run_folder).unwrap();
    let profile = format!("-env:UserInstallation=file://{}/profile", run_folder.display());
    run(Command::new(program)
        .args([profile.as_str(), "--headless", "--convert-to", filter, "--outdir"])
        .arg(&run_folder)
        .arg(file));
    run_folder.join(file.file_stem().unwrap()).with_extension(filter.split(':').next().unwrap())
}

/// The words that LibreOffice finds in `file`, which it can convert to `filter`: text, or XML of its own.
fn words_of_libreoffice(file: &Path, filter: &str, folder: &Folder) -> Vec<String> {
    let converted = by_libreoffice(file, filter, folder);
    let text = std::fs::read_to_string(&converted).unwrap_or_else(|e| panic!("{}: {e}", converted.display()));
    // Of XML the text between tags, from the body on.
    let mut body = text.find("<office:body>").map_or(text.clone(), |at| text[at..].to_owned());
    // Pictures, comments, and the numbers of notes and pages, which are no words of the text.
    for element in ["office:binary-data", "office:annotation", "text:note-citation", "text:page-number"] {
        body = without(&body, element);
    }
    let mut plain = String::new();
    let mut rest = body.as_str();
    while let Some((before, after)) = rest.split_once('<').filter(|_| filter.starts_with("fod")) {
        plain.push_str(before);
        plain.push(' ');
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    words(&plain)
}

/// `xml` without the elements of this name, which hold none of the same name.
fn without(xml: &str, element: &str) -> String {
    let (start, end) = (format!("<{element}"), format!("</{element}>"));
    let mut kept = String::new();
    let mut rest = xml;
    while let Some((before, after)) = rest.split_once(&start) {
        kept.push_str(before);
        rest = after.split_once(&end).map_or("", |(_, after)| after);
    }
    kept + rest
}

fn pandoc() -> Command {
    Command::new(installed("pandoc", &["pandoc"]))
}

/// The words that pandoc finds in `file`.
fn words_of_pandoc(file: &Path) -> Vec<String> {
    words(&String::from_utf8(run(pandoc().args(["--to", "plain", "--wrap", "none"]).arg(file))).unwrap())
}

fn words(text: &str) -> Vec<String> {
    let separators = |c: char| !c.is_alphanumeric();
    text.split(separators).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The length of the longest sequence that both have in this order.
fn in_order(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (index, other) in b.iter().enumerate() {
            let above = row[index + 1];
            row[index + 1] = if word == other { diagonal + 1 } else { above.max(row[index]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

/// Reads `file` and compares with the words that another reader found in it.
fn compare(reader: &str, file: &Path, theirs: &[String]) {
    let name = file.file_name().unwrap().to_str().unwrap();
    let (sections, outcome) = read(std::fs::File::open(file).unwrap(), &Hints { key: name, ..Hints::default() }, None);
    outcome.unwrap_or_else(|e| panic!("{name}: {e}"));
    let ours: Vec<_> = sections.iter().flat_map(|section| words(&section.text)).collect();
    let found = in_order(theirs, &ours);
    eprintln!("{name}: {found} of {reader}'s {} words, {} of ours", theirs.len(), ours.len());
    assert!(!theirs.is_empty() && found * 100 >= theirs.len() * IN_ORDER, "{name}\ntheirs {theirs:?}\nours {ours:?}");
}

/// The document of `make documents` with this key.
fn document(key: &str) -> PathBuf {
    index().into_iter().find(|expected| expected.key == key).unwrap_or_else(|| panic!("there is no {key}")).path()
}

const TEXT: &str = "txt:Text (encoded):UTF8";

#[test]
#[ignore = "`make reference` runs it"]
fn of_the_words_that_libreoffice_finds_98_in_100_are_read_in_their_order() {
    needs!(documents, libreoffice);
    let folder = Folder::new("libreoffice");
    let documents = [
        ("report.docx", TEXT),
        ("german.docx", TEXT),
        ("text.odt", "fodt"),
        ("deck.pptx", "fodp"),
        ("deck.odp", "fodp"),
        ("table.xlsx", "fods"),
        ("formulas.xlsx", "fods"),
        ("table.ods", "fods"),
        ("minutes.rtf", TEXT),
    ];
    for (key, filter) in documents {
        let file = document(key);
        compare("LibreOffice", &file, &words_of_libreoffice(&file, filter, &folder));
    }
    for key in ["report.docx", "german.docx", "minutes.rtf"] {
        let rich = by_libreoffice(&document(key), "rtf", &folder);
        compare("LibreOffice", &rich, &words_of_libreoffice(&rich, TEXT, &folder));
    }
}

#[test]
#[ignore = "`make reference` runs it"]
fn of_the_words_that_pandoc_finds_in_e_books_98_in_100_are_read_in_their_order() {
    needs!(documents, pandoc);
    let folder = Folder::new("pandoc");
    let file = document("guide.epub");
    compare("pandoc", &file, &words_of_pandoc(&file));
    for (key, version) in [("report.docx", "epub3"), ("german.docx", "epub2")] {
        let book = folder.0.join(key).with_extension("epub");
        run(pandoc().args(["--to", version, "--output"]).arg(&book).arg(document(key)));
        compare("pandoc", &book, &words_of_pandoc(&book));
    }
}
