//! Tables as programs and people write them.

use serde_json::{Value, json};

use crate::documents::extract::tests::{read, read_whole, run, skipped, texts};
use crate::documents::extract::{ExtractOptions, Section, Skip};

/// The texts and what was left out, with whole rows as texts.
fn whole(table: impl AsRef<[u8]>) -> (Vec<String>, Vec<String>) {
    read_whole(table.as_ref(), "a.csv", &ExtractOptions::default())
}

/// The texts of a table of which nothing is left out.
fn rows(table: impl AsRef<[u8]>) -> Vec<String> {
    let (texts, left_out) = whole(table);
    assert_eq!(left_out, Vec::<String>::new());
    texts
}

fn column(table: &str, name: &str) -> Vec<Section> {
    let options = ExtractOptions { text_column: Some(name.to_owned()), ..ExtractOptions::default() };
    run(table.as_bytes(), "a.csv", None, &options).0
}

const TWO: [&str; 2] = ["id: 1\nname: one", "id: 2\nname: two"];

#[test]
fn a_row_is_a_text_of_names_and_values() {
    assert_eq!(rows("id,name\n1,one\n2,two\n"), TWO);
    assert_eq!(rows("\u{feff} id , name\r\n1, one \r\n2,two"), TWO);
    assert_eq!(rows("a,b,c\n1,,\"x\ny\"\n"), ["a: 1\nb: \nc: x\ny"]);
    let (sections, _) = read("id,story\n7,\"so, so long\"\n", "a.csv");
    assert_eq!(Value::Object(sections[0].fields.clone()), json!({"id": "7", "story": "so, so long"}));
    let (sections, _) = read(format!("id,story\n7,{}\n", "so long ".repeat(99)), "a.csv");
    assert_eq!(Value::Object(sections[0].fields.clone()), json!({"id": "7"}));
}

#[test]
fn one_column_can_be_the_text() {
    let sections = column("id;Text;note\n1;one;a\n2;two;b", "text");
    assert_eq!(texts(&sections), ["one", "two"]);
    assert_eq!(Value::Object(sections[1].fields.clone()), json!({"id": "2", "note": "b"}));
    let options = ExtractOptions { text_column: Some("text".to_owned()), ..ExtractOptions::default() };
    let (why, reason) = skipped(run(&b"id,name\n1,one\n"[..], "a.csv", None, &options).1);
    assert_eq!(why, Skip::Unreadable);
    assert!(reason.contains("no column \"text\"; its columns are id, name") && reason.contains('*'), "{reason}");
    let (_, left_out) = read_whole(b"id,text\n1,one\n2\n", "a.csv", &options);
    assert_eq!(left_out, ["record 1, line 3: it has 1 columns only"]);
}

#[test]
fn excel_names_its_separator_in_a_first_line() {
    for first in ["sep=;\n", "sep=;\r\n", "SEP=;\r\n", "\u{feff}sep=;\r\n", "\"sep=;\"\n"] {
        assert_eq!(rows(format!("{first}id;name\r\n1;one\r\n2;two\r\n")), TWO, "{first:?}");
    }
    assert_eq!(rows("sep=^\nid^name\n1^one\n2^two\n"), TWO);
    assert_eq!(rows("sep=,\nid,name;b\n1,one;1\n"), ["id: 1\nname;b: one;1"]);
}

#[test]
fn the_separator_is_the_one_that_the_rows_agree_on() {
    let prose = ["id: 1\nname, first: one", "id: 2\nname, first: two, three"];
    assert_eq!(rows("id;name, first\n1;one\n2;two, three; \n"), prose);
    assert_eq!(rows("id|name\n1|one\n2|two\n"), TWO);
    assert_eq!(rows("id\tname\n1\tone\n2\ttwo\n"), TWO);
    assert_eq!(rows("price;name\n1,50;one\n2,75;two\n"), ["price: 1,50\nname: one", "price: 2,75\nname: two"]);
    // A column of prose, whose commas separate nothing.
    assert_eq!(rows("text\n\"a; b; c\"\nd; e\n"), ["text: a; b; c", "text: d; e"]);
    assert_eq!(rows("id,text\n1,\"a;b;c\"\n2,d;e;f\n"), ["id: 1\ntext: a;b;c", "id: 2\ntext: d;e;f"]);
    let (texts, _) = read_whole(b"id,name\n1,one\n2,two\n", "a.tsv", &ExtractOptions::default());
    assert_eq!(texts, TWO);
}

#[test]
fn spark_escapes_quotes_with_a_backslash() {
    let table =
        "id,name\n1,\"say \\\"hi\\\", he said\"\n2,\"\\\"two\\\"\"\n3,\"C:\\\\\"\n4,\"{\\\"a\\\":\\\"b\\\"}\"\n";
    let values = ["say \"hi\", he said", "\"two\"", "C:\\", "{\"a\":\"b\"}"];
    let expected: Vec<_> = (1..).zip(values).map(|(id, value)| format!("id: {id}\nname: {value}")).collect();
    assert_eq!(rows(table), expected);
    // In a table that doubles its quotes a backslash is a character.
    assert_eq!(rows("id,name\n1,\"C:\\\"\n2,\"a \"\"b\"\"\"\n"), ["id: 1\nname: C:\\", "id: 2\nname: a \"b\""]);
}

#[test]
fn every_line_end_ends_a_row() {
    for end in ["\n", "\r\n", "\r"] {
        assert_eq!(rows(["id,name", "1,one", "", "2,two", ",", ""].join(end)), TWO, "{end:?}");
    }
    assert_eq!(rows("id,name\r\n1,\"a\r\nb\"\r\n2,two"), ["id: 1\nname: a\r\nb", "id: 2\nname: two"]);
}

#[test]
fn excel_writes_unicode_text_in_utf_16_with_tabs() {
    let table = "id\tname\r\n1\t\"Größe, 日本\"\r\n2\ttwo\r\n";
    let little: Vec<u8> = std::iter::once(0xfeff).chain(table.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = std::iter::once(0xfeff).chain(table.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        assert_eq!(rows(bytes), ["id: 1\nname: Größe, 日本", "id: 2\nname: two"]);
    }
}

#[test]
fn a_quote_that_is_not_closed_costs_its_own_line() {
    for broken in ["9,\"broken", "9,\"broken, and more", "9,\"\"\"broken", "\"9,broken"] {
        for after in ["2,two", "2,\"two\"\n", "\"2\",\"two\"\r\n", "2,two\n\"3\",\"a \"\"b\"\"\""] {
            let (texts, left_out) = whole(format!("id,name\n1,one\n{broken}\n{after}"));
            assert_eq!(texts[..2], TWO, "{broken} {after}");
            assert_eq!(left_out.len(), 1, "{broken} {after}: {left_out:?}");
            assert!(left_out[0].starts_with("record 1, line 3: a quote"), "{left_out:?}");
        }
    }
    // At the end of a long table, and twice in it.
    let many: String = (0..50_000).map(|id| format!("{id},name {id}\n")).collect();
    let (texts, left_out) = whole(format!("id,name\n{many}0,\"broken\n{many}1,\"broken\n{many}"));
    assert_eq!((texts.len(), left_out.len()), (150_000, 2));
}

#[test]
fn a_cell_of_many_lines_that_is_cut_off_is_one_row() {
    let (texts, left_out) = whole("id,name,note\n1,one,a\n2,\"two\nlines\nand\nmore");
    assert_eq!(texts, ["id: 1\nname: one\nnote: a"]);
    assert_eq!(left_out, ["record 1, line 3: a quote in it is not closed before the document ends"]);
}

#[test]
fn quotes_that_nobody_doubled_are_characters() {
    assert_eq!(rows("id,name\n1,\"He said \"hi\" to me\"\n2,two\n")[0], "id: 1\nname: He said \"hi\" to me");
    assert_eq!(rows("id\tname\n1\t\"Hi\" he said\n2\ttwo\n")[0], "id: 1\nname: \"Hi\" he said");
    assert_eq!(rows("id,name\n1,5\" wide\n2,\"two\" \n")[0], "id: 1\nname: 5\" wide");
    assert_eq!(rows("id,name,b\n1,\"Hi\" he said,\"x, y\"\n")[0], "id: 1\nname: \"Hi\" he said\nb: x, y");
}

#[test]
fn odd_headers_lose_no_cell() {
    assert_eq!(rows("a,a,,b\n1,2,3,4\n"), ["a: 1\na: 2\n3\nb: 4"]);
    let fields = read("a,a,,b\n1,2,3,4,5\n", "a.csv").0[0].fields.clone();
    assert_eq!(Value::Object(fields), json!({"a": "1", "a.1": "2", "column 3": "3", "b": "4", "column 5": "5"}));
    // Rows with less and more cells than there are names.
    assert_eq!(rows("a,b\n1\n1,2,3\n1,2\n"), ["a: 1", "a: 1\nb: 2\n3", "a: 1\nb: 2"]);
}

#[test]
fn a_table_without_rows_is_empty() {
    for table in ["id,name\n", "id,name", "\u{feff}id\r\n", "sep=;\n", "id,name\n,\n \n"] {
        assert_eq!(skipped(read(table, "a.csv").1).0, Skip::Empty, "{table:?}");
    }
}

#[test]
fn a_zero_byte_in_a_cell_is_a_character() {
    assert_eq!(rows("id,name\n1,o\0ne\n2,two\n"), ["id: 1\nname: o\0ne", "id: 2\nname: two"]);
}

#[test]
fn a_cell_of_a_hundred_megabytes_costs_the_others_nothing() {
    let sizes = [("word ", 100), ("a line of it\n", 20), ("a \"\"word\"\"\n", 20)];
    for (words, megabytes) in sizes {
        let cell = words.repeat((megabytes << 20) / words.len());
        let table = format!("id,name\n1,one\n9,\"{cell}\"\n2,two\n");
        let (sections, outcome) = read(table, "a.csv");
        assert_eq!((texts(&sections), outcome.unwrap().skipped_records.count), (TWO.to_vec(), 1), "{words:?}");
    }
    // A quote that is not closed in a table that is larger than a row may be.
    let many: String = (0..900_000).map(|id| format!("{id},name {id}\n")).collect();
    let (sections, outcome) = read(format!("id,name\n0,\"broken\n{many}"), "a.csv");
    assert_eq!((sections.len(), outcome.unwrap().skipped_records.count), (900_000, 1));
}

#[test]
fn a_well_formed_table_has_the_cells_that_the_csv_crate_finds() {
    let words = [
        "one",
        "",
        "a, b; c\td|e",
        "say \"hi\"",
        "two\nlines",
        "a\r\nb",
        " padded ",
        "Größe 日本",
        "\"",
        "5\" wide",
        "C:\\",
    ];
    for (number, delimiter) in [b',', b';', b'\t', b'|'].into_iter().cycle().take(200).enumerate() {
        let style = [csv::QuoteStyle::Necessary, csv::QuoteStyle::Always, csv::QuoteStyle::NonNumeric][number % 3];
        let end = [csv::Terminator::CRLF, csv::Terminator::Any(b'\n'), csv::Terminator::Any(b'\r')][number / 3 % 3];
        let mut writer =
            csv::WriterBuilder::new().delimiter(delimiter).quote_style(style).terminator(end).from_writer(vec![]);
        writer.write_record(["id", "first", "second", "third"]).unwrap();
        for row in 0..40 {
            let word = |place: usize| words[(number * 7 + row * 3 + place * (row + 2)) % words.len()];
            writer.write_record([&row.to_string(), word(1), word(2), word(3)]).unwrap();
        }
        let table = writer.into_inner().unwrap();
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(&table[..]);
        let theirs: Vec<_> = reader
            .records()
            .map(|row| {
                let row = row.unwrap();
                format!(
                    "id: {}\nfirst: {}\nsecond: {}\nthird: {}",
                    &row[0],
                    row[1].trim(),
                    row[2].trim(),
                    row[3].trim()
                )
            })
            .collect();
        assert_eq!(rows(&table), theirs, "{}", String::from_utf8_lossy(&table));
    }
}
