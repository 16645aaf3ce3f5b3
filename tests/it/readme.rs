//! What the README says is what the program knows.

use lambda_embed::config::VARIABLES;

use crate::harness::root;

#[test]
fn the_configuration_table_is_the_programs_own() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let rows: Vec<_> = readme.lines().filter(|line| line.starts_with("| `EMBED_")).collect();
    let own: Vec<_> = VARIABLES.iter().map(|v| format!("| `{}` | {} | {} |", v.name, v.default, v.about)).collect();
    assert_eq!(rows, own);
}
